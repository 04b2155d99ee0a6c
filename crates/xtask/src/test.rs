//! `cargo xtask test`: everything CI checks, on a machine that may have nothing but Rust.

use crate::process::{cargo, find_program, output, run as run_program, target_dir};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// Version of the Python client the tests use.
const REDIS_PY: &str = "redis==8.1.0";

/// Version of the JavaScript client the tests use.
const IOREDIS: &str = "ioredis@5.11.1";

/// Runs clippy and checks the dependencies, builds the server, then runs all tests, tidy's among them; `arguments` are
/// handed to `cargo test`.
///
/// # Errors
/// When anything fails.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    ensure_reference();
    run_program(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    check_dependencies()?;
    check_fuzz_targets()?;
    run_program(cargo().args(["build", "--package", "redoubt", "--bin", "redoubt-server"]))?;
    let mut tests = cargo();
    tests.args(["test", "--workspace", "--no-fail-fast"]).args(arguments);
    tests.env("REDOUBT_SERVER", target_dir().join("debug/redoubt-server"));
    match python() {
        Ok(Python { program, packages }) => {
            tests.env("REDOUBT_PYTHON", program);
            packages.map(|dir| tests.env("PYTHONPATH", dir));
        }
        Err(error) => eprintln!("the tests with the Python client are skipped: {error:#}"),
    }
    match ioredis() {
        Ok((node, modules)) => {
            tests.env("REDOUBT_NODE", node).env("REDOUBT_NODE_MODULES", modules);
        }
        Err(error) => eprintln!("the test with the JavaScript client is skipped: {error:#}"),
    }
    run_program(&mut tests)
}

/// Node, and a folder of packages with the client.
fn ioredis() -> Result<(PathBuf, PathBuf)> {
    let node = find_program("node").context("there is no node in PATH")?;
    let folder = target_dir().join("node");
    let modules = folder.join("node_modules");
    if !modules.join("ioredis").exists() {
        let npm = find_program("npm").context("there is no npm in PATH")?;
        std::fs::create_dir_all(&folder)?;
        let mut install = Command::new(npm);
        install.args(["install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"]);
        run_program(install.arg(&folder).arg(IOREDIS))?;
    }
    Ok((node, modules))
}

/// Licences, sources and bans of all dependencies; known vulnerabilities where their list can be fetched.
fn check_dependencies() -> Result<()> {
    if find_program("cargo-deny").is_none() {
        eprintln!(
            "cargo-deny is missing: licences and sources of the dependencies are not checked. \
             `cargo install --locked cargo-deny` installs it."
        );
        return Ok(());
    }
    let deny = |what: &[&str]| {
        let mut command = cargo();
        command.args(["deny", "--log-level", "error", "check"]).args(what);
        command
    };
    run_program(&mut deny(&["bans", "licenses", "sources"]))?;
    let advisories = deny(&["advisories"]).output().context("running cargo deny")?;
    let text = String::from_utf8_lossy(&advisories.stderr);
    match advisories.status.success() {
        true => Ok(()),
        false if text.contains("failed to fetch advisory database") => {
            eprintln!("the list of known vulnerabilities cannot be fetched here: they are not checked");
            Ok(())
        }
        false => anyhow::bail!("cargo deny check advisories:\n{text}"),
    }
}

/// The fuzz targets are a workspace of their own: nothing else notices when they no longer compile.
fn check_fuzz_targets() -> Result<()> {
    if find_program("c++").is_none() {
        eprintln!("there is no C++ compiler for libFuzzer: the fuzz targets are not checked");
        return Ok(());
    }
    let mut check = cargo();
    check.args(["check", "--quiet", "--locked", "--bins", "--manifest-path", "fuzz/Cargo.toml"]);
    run_program(check.arg("--target-dir").arg(target_dir().join("fuzz")))
}

/// Installs the reference server where that is possible and names it where not.
fn ensure_reference() {
    let programs = ["redis-server", "redis-cli", "redis-benchmark"];
    if programs.iter().all(|name| find_program(name).is_some()) {
        return;
    }
    if let Err(error) = apt_install(&["redis-server", "redis-tools"]) {
        eprintln!("{error:#}");
        eprintln!(
            "The reference server is missing: comparisons with it are skipped. Install redis-server and redis-tools \
             (7.0) with your package manager to run them."
        );
    }
}

/// Installs Debian packages, as root only.
fn apt_install(packages: &[&str]) -> Result<()> {
    find_program("apt-get").context("there is no apt-get here")?;
    let user = output(Command::new("id").arg("-u"))?;
    anyhow::ensure!(user.trim() == "0", "installing {} needs root", packages.join(" "));
    run_program(Command::new("apt-get").args(["-qq", "update"]))?;
    // Run level 1 keeps the packages' scripts from starting the service.
    let mut install = Command::new("apt-get");
    install.args(["-qq", "install", "--yes", "--no-install-recommends"]).args(packages);
    run_program(install.env("RUNLEVEL", "1").env("DEBIAN_FRONTEND", "noninteractive"))
}

/// An interpreter that can import the client.
struct Python {
    program: PathBuf,
    /// Folder of the package, where it is not in the interpreter's own.
    packages: Option<PathBuf>,
}

/// A virtual environment with the client, or the system's interpreter and a folder with the client.
fn python() -> Result<Python> {
    let system = find_program("python3").context("there is no python3 in PATH")?;
    let environment = target_dir().join("python");
    let program = environment.join("bin/python");
    let imports = |program: &PathBuf| Command::new(program).args(["-c", "import redis"]).output();
    if imports(&program).is_ok_and(|output| output.status.success()) {
        return Ok(Python { program, packages: None });
    }
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", REDIS_PY];
    let created = run_program(Command::new(&system).args(["-m", "venv"]).arg(&environment))
        .and_then(|()| run_program(Command::new(&program).args(install)));
    if created.is_ok() {
        return Ok(Python { program, packages: None });
    }
    let packages = target_dir().join("python-packages");
    if !packages.join("redis").exists() {
        run_program(Command::new(&system).args(install).arg("--target").arg(&packages))?;
    }
    Ok(Python { program: system, packages: Some(packages) })
}
