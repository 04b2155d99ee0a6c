//! Which crate may depend on which.

use crate::process::{cargo, output};
use anyhow::{Context, Result};
use serde_json::Value;

/// Crates of ours a crate may depend on. A crate that is not here is a developer's tool and may use all of them,
/// but none of these may use it. A new edge needs a decision record.
const ALLOWED: &[(&str, &[&str])] = &[
    ("redoubt-resp", &[]),
    ("redoubt-store", &[]),
    ("redoubt-ha", &[]),
    ("redoubt-persistence", &["redoubt-store"]),
    ("redoubt-replication", &["redoubt-resp"]),
    ("redoubt-commands", &["redoubt-resp", "redoubt-store", "redoubt-persistence"]),
    (
        "redoubt-server",
        &[
            "redoubt-resp",
            "redoubt-store",
            "redoubt-ha",
            "redoubt-persistence",
            "redoubt-replication",
            "redoubt-commands",
        ],
    ),
    ("redoubt", &["redoubt-server"]),
];

/// Packages a crate must not use, because it holds no clock, no IO and no async code.
const PURE: &[&str] = &[
    "redoubt-resp",
    "redoubt-store",
    "redoubt-ha",
    "redoubt-persistence",
    "redoubt-replication",
    "redoubt-commands",
];
const IMPURE_PACKAGES: &[&str] = &["tokio", "mio", "socket2", "async-std", "smol", "hyper", "quanta"];

/// One line per dependency that points the wrong way.
///
/// # Errors
/// When cargo does not describe the workspace.
pub(super) fn check() -> Result<Vec<String>> {
    let text = output(cargo().args(["metadata", "--format-version", "1", "--no-deps", "--locked"]))?;
    let metadata: Value = serde_json::from_str(&text)?;
    let packages = metadata["packages"].as_array().context("metadata without packages")?;
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut offences = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
        // What only tests use may point anywhere.
        let normal = dependencies.iter().filter(|dependency| dependency["kind"].as_str() != Some("dev"));
        for dependency in normal.filter_map(|dependency| dependency["name"].as_str()) {
            if !may_use(name, dependency, &ours) {
                offences.push(format!("crate {name} must not depend on {dependency}"));
            }
        }
    }
    Ok(offences)
}

fn may_use(name: &str, dependency: &str, ours: &[&str]) -> bool {
    if PURE.contains(&name) && IMPURE_PACKAGES.contains(&dependency) {
        return false;
    }
    match ALLOWED.iter().find(|(crate_name, _)| *crate_name == name) {
        Some((_, allowed)) => !ours.contains(&dependency) || allowed.contains(&dependency),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::may_use;

    #[test]
    fn directions() {
        let ours =
            ["redoubt-resp", "redoubt-store", "redoubt-commands", "redoubt-server", "redoubt", "xtask"];
        assert!(may_use("redoubt-commands", "redoubt-store", &ours));
        assert!(!may_use("redoubt-store", "redoubt-commands", &ours));
        assert!(!may_use("redoubt-store", "tokio", &ours));
        assert!(!may_use("redoubt", "xtask", &ours));
        assert!(may_use("xtask", "redoubt-server", &ours));
        assert!(may_use("redoubt-store", "hashbrown", &ours));
    }
}
