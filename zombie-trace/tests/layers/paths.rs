//! The paths that stand in code.

use std::collections::BTreeSet;

use syn::{ItemMod, UseTree, visit::Visit};

use super::source::Names;

/// Gathers paths; a name that stands alone is defined in the same file, or was imported.
pub(crate) struct Paths<'a> {
    pub(crate) module: &'a Names,
    pub(crate) found: Vec<(Names, Names)>,
    pub(crate) names: BTreeSet<String>,
}

impl Paths<'_> {
    fn add(&mut self, path: Names) {
        match path.as_slice() {
            [] => {}
            [name] => {
                self.names.insert(name.clone());
            }
            _ => self.found.push((self.module.clone(), path)),
        }
    }
}

impl<'ast> Visit<'ast> for Paths<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        fn leaves(before: &Names, tree: &UseTree, into: &mut Vec<Names>) {
            match tree {
                UseTree::Path(path) => {
                    let before: Names = before.iter().cloned().chain([path.ident.to_string()]).collect();
                    leaves(&before, &path.tree, into);
                }
                UseTree::Group(group) => group.items.iter().for_each(|tree| leaves(before, tree, into)),
                UseTree::Name(name) => into.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
                UseTree::Rename(name) => into.push(before.iter().cloned().chain([name.ident.to_string()]).collect()),
                UseTree::Glob(_) => into.push(before.clone()),
            }
        }
        let mut found = Vec::new();
        leaves(&Vec::new(), &item.tree, &mut found);
        found.into_iter().for_each(|path| self.add(path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        syn::visit::visit_macro(self, called);
        // What a macro is given need not be Rust, so only the names with `::` between them are looked for.
        let text = called.tokens.to_string();
        let text: String =
            text.chars().map(|it| if it.is_alphanumeric() || "_:".contains(it) { it } else { ' ' }).collect();
        let text = text.replace("::", " :: ");
        let words: Vec<&str> = text.split_whitespace().collect();
        let is_name = |word: &str| word.chars().all(|it| it.is_alphanumeric() || it == '_');
        let mut at = 0;
        while at < words.len() {
            let mut path = Vec::new();
            while words.get(at).is_some_and(|word| is_name(word)) {
                path.push(words[at].to_owned());
                if words.get(at + 1) != Some(&"::") {
                    break;
                }
                at += 2;
            }
            at += 1;
            self.add(path);
        }
    }

    fn visit_item_mod(&mut self, _: &'ast ItemMod) {}
}
