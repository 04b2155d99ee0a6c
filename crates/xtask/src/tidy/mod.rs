//! `cargo xtask tidy`: the house rules a compiler does not check. Every rule lists all that breaks it.

mod crates;
mod source;

use crate::process::root;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// Checks all rules.
///
/// # Errors
/// With one line per offence.
pub(crate) fn run() -> Result<()> {
    let offences = check(&root())?;
    if offences.is_empty() {
        eprintln!("tidy: nothing to complain about");
        return Ok(());
    }
    bail!("tidy:\n  {}", offences.join("\n  "))
}

fn check(root: &Path) -> Result<Vec<String>> {
    let mut offences = Vec::new();
    for path in rust_files(root)? {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        offences.extend(source::check(&name, &text));
    }
    offences.extend(crates::check()?);
    if !root.join("Cargo.lock").exists() {
        offences.push("Cargo.lock is missing: it is part of the repository".into());
    }
    let ignored = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    if ignored.lines().any(|line| line.trim().ends_with("Cargo.lock")) {
        offences.push(".gitignore names Cargo.lock, which is part of the repository".into());
    }
    Ok(offences)
}

/// Our own Rust files: everything in the workspace but build output and hidden folders.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            found.extend(rust_files(&path)?);
        } else if name.ends_with(".rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tree_is_tidy() {
        super::run().unwrap();
    }
}
