//! `cargo xtask peers`: current valkey and redis servers in a folder of their own, from Debian's packages.
//!
//! Nothing is installed: packages are unpacked, and each program runs on the libraries unpacked beside it, so a
//! newer suite's programs work on an older system.

use crate::process::{find_program, output, run as run_program, target_dir};
use anyhow::{Context, Result, bail};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Suite the packages come from: the one that has both peers in their current versions.
const SUITE: &str = "sid";

/// Folder and packages of each peer.
const PEERS: &[(&str, &[&str])] =
    &[("valkey9", &["valkey-server", "valkey-tools"]), ("redis8", &["redis-server", "redis-tools"])];

/// What their programs link against.
const LIBRARIES: &[&str] = &[
    "libc6",
    "libssl3t64",
    "libjemalloc2",
    "libsystemd0",
    "liblzf1",
    "libatomic1",
    "libstdc++6",
    "libgcc-s1",
    "libzstd1",
    "zlib1g",
    "libcap2",
];

/// Unpacks the peers into the given folder, or `target/peers`.
///
/// # Errors
/// When this is not a Debian with package sources, or a package cannot be had.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let folder = arguments.first().map_or_else(|| target_dir().join("peers"), PathBuf::from);
    for program in ["apt-get", "dpkg"] {
        find_program(program)
            .with_context(|| format!("{program} is missing: this command needs a Debian"))?;
    }
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let apt = Apt::prepare(&folder.join("apt"))?;
    for (name, packages) in PEERS {
        install(&apt, &folder.join(name), packages)?;
    }
    for program in ["valkey9/valkey-server", "redis8/redis-server"] {
        print!("{}", output(Command::new(folder.join(program)).arg("--version"))?);
    }
    Ok(())
}

/// A private apt: its own package lists and cache, so the system's stay as they are.
struct Apt {
    folder: PathBuf,
}

impl Apt {
    fn prepare(folder: &Path) -> Result<Apt> {
        for sub in ["lists/partial", "cache/archives/partial", "parts", "downloads"] {
            fs::create_dir_all(folder.join(sub))?;
        }
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let source = format!("deb [signed-by={keyring}] {} {SUITE} main\n", mirror()?);
        fs::write(folder.join("sources.list"), source)?;
        let apt = Apt { folder: folder.into() };
        run_program(apt.command().arg("update"))?;
        Ok(apt)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.arg("-qq").current_dir(self.folder.join("downloads"));
        let folder = self.folder.display();
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            format!("Dir::Etc::sourceparts={folder}/parts"),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            "APT::Sandbox::User=root".to_string(),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// Downloads packages; their files.
    fn download(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        let downloads = self.folder.join("downloads");
        for old in files(&downloads)? {
            fs::remove_file(old)?;
        }
        run_program(self.command().arg("download").args(packages).args(LIBRARIES))?;
        files(&downloads)
    }
}

/// The Debian mirror this machine uses.
fn mirror() -> Result<String> {
    let mut sources = vec![PathBuf::from("/etc/apt/sources.list")];
    sources.extend(files(Path::new("/etc/apt/sources.list.d")).unwrap_or_default());
    for source in sources {
        let text = fs::read_to_string(source).unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"));
        let is_mirror = |word: &&str| word.contains("://") && word.trim_end_matches('/').ends_with("/debian");
        if let Some(found) = lines.flat_map(str::split_whitespace).find(is_mirror) {
            return Ok(found.into());
        }
    }
    bail!("no Debian mirror among the apt sources")
}

fn install(apt: &Apt, folder: &Path, packages: &[&str]) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let root = folder.join("root");
    fs::create_dir_all(&root)?;
    for package in apt.download(packages)? {
        run_program(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
    }
    let loader = find_loader(&root)?.context("libc6 holds no dynamic loader")?;
    let libraries = loader.parent().context("the loader is in a folder")?;
    let triplet = format!("{}-linux-gnu", std::env::consts::ARCH);
    let path = format!("{}:{}", libraries.display(), root.join("usr/lib").join(triplet).display());
    for program in files(&root.join("usr/bin"))? {
        let (loader, target) = (loader.display(), program.display());
        let script = format!("#!/bin/sh\nexec \"{loader}\" --library-path \"{path}\" \"{target}\" \"$@\"\n");
        let wrapper = folder.join(program.file_name().context("a program has a name")?);
        fs::write(&wrapper, script)?;
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn find_loader(folder: &Path) -> Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if let Some(found) = find_loader(&path)? {
                return Ok(Some(found));
            }
        } else if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux-")) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Everything directly in a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
