//! The redis-py client, in both protocol versions. `cargo xtask test` provides the interpreter in `REDOUBT_PYTHON`.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::Server;
use std::path::Path;
use std::process::Command;

fn use_it(protocol: &str) {
    let Some(python) = std::env::var_os("REDOUBT_PYTHON") else {
        eprintln!("skipped: REDOUBT_PYTHON is not set; `cargo xtask test` sets it");
        return;
    };
    let server = Server::ours(&[]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/client.py");
    let output =
        Command::new(python).arg(script).args([&server.port.to_string(), protocol]).output().unwrap();
    assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), server.log());
}

#[test]
fn redis_py_in_resp2() {
    use_it("2");
}

#[test]
fn redis_py_in_resp3() {
    use_it("3");
}
