//! Rules about one Rust file: its first line, its length, the length of its functions, `unsafe`, unfinished code.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, ImplItemFn, ItemFn, ItemImpl, ItemMod, ItemTrait, Macro, Signature, TraitItemFn,
};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;

/// Macros that mark code as not finished.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// The only files that may hold `unsafe`: tables, entries and packed strings of the store, which Miri covers, and the
/// system calls of a daemon.
const UNSAFE_ALLOWED: &[&str] = &[
    "crates/server/src/memory.rs",
    "crates/server/src/net/connection.rs",
    "crates/server/src/process.rs",
    "crates/store/src/cut/mod.rs",
    "crates/store/src/entry.rs",
    "crates/store/src/fields.rs",
    "crates/store/src/inspect.rs",
    "crates/store/src/keyspace.rs",
    "crates/store/src/table.rs",
    "crates/store/src/thin.rs",
    "crates/store/src/txn/changes.rs",
    "crates/store/src/txn/events.rs",
    "crates/store/src/txn/mod.rs",
    "crates/store/src/txn/reads.rs",
    "crates/store/src/waiting.rs",
    "crates/store/src/value.rs",
    "crates/store/src/whole.rs",
];

/// One line per offence of the file `name`.
pub(super) fn check(name: &str, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    if !text.starts_with("//!") {
        offences.push(format!("{name}:1: a file begins with a `//!` line that says what it is for"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        offences.push(format!("{name}: {lines} lines, more than {FILE_LINES_MAX}"));
    }
    match syn::parse_file(text) {
        Ok(file) => {
            let mut visitor = Rules { name, offences };
            visitor.visit_file(&file);
            visitor.offences
        }
        Err(error) => {
            offences.push(format!("{name}:{}: {error}", error.span().start().line));
            offences
        }
    }
}

struct Rules<'a> {
    name: &'a str,
    offences: Vec<String>,
}

impl Rules<'_> {
    fn add(&mut self, line: usize, what: &str) {
        self.offences.push(format!("{}:{line}: {what}", self.name));
    }

    fn function(&mut self, attributes: &[Attribute], signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        let lines = block.span().end().line + 1 - first;
        if lines > FUNCTION_LINES_MAX && !is_test(attributes) {
            let what = format!("{} has {lines} lines, more than {FUNCTION_LINES_MAX}", signature.ident);
            self.add(first, &what);
        }
        if let Some(token) = signature.unsafety {
            self.unsafety(token.span().start().line);
        }
    }

    fn unsafety(&mut self, line: usize) {
        if !UNSAFE_ALLOWED.contains(&self.name) {
            self.add(line, "`unsafe` outside the modules that may hold it");
        }
    }
}

impl<'ast> Visit<'ast> for Rules<'_> {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.attrs, &item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    /// Tests inside a file may be as long as they need; the rest of the rules is about code that ships.
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.unsafety(item.unsafe_token.span().start().line);
        visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let Some(token) = item.unsafety {
            self.unsafety(token.span().start().line);
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast ItemTrait) {
        if let Some(token) = item.unsafety {
            self.unsafety(token.span().start().line);
        }
        visit::visit_item_trait(self, item);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        if let Some(name) = UNFINISHED.iter().find(|name| item.path.is_ident(name)) {
            self.add(item.path.span().start().line, &format!("`{name}!` marks unfinished code"));
        }
        visit::visit_macro(self, item);
    }
}

/// `#[test]`, `#[cfg(test)]` and their kin.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_cfg_test = || attribute.parse_args::<syn::Ident>().is_ok_and(|argument| argument == "test");
        attribute.path().is_ident("test") || (attribute.path().is_ident("cfg") && is_cfg_test())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_passes() {
        let text = "//! Purpose.\n\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() { unsafe {} }\n}\n";
        assert_eq!(check("a.rs", text), Vec::<String>::new());
    }

    #[test]
    fn each_rule_bites() {
        let long = format!("//! P.\nfn long() {{\n{}}}\n", "    f();\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(check("a.rs", &long), ["a.rs:2: long has 72 lines, more than 70"]);
        let long = long.replace("fn long", "#[test]\nfn long");
        assert!(check("a.rs", &long).is_empty());
        assert_eq!(check("a.rs", "fn f() {}").len(), 1);
        assert_eq!(check("a.rs", &format!("//!\n{}", "\n".repeat(FILE_LINES_MAX))).len(), 1);
        assert_eq!(check("a.rs", "//!\nfn f() { unsafe {} }").len(), 1);
        assert!(check("crates/store/src/table.rs", "//!\nfn f() { unsafe {} }").is_empty());
        assert_eq!(check("a.rs", concat!("//!\nfn f() { to", "do!() }")).len(), 1);
    }
}
