//! Blocks of code in Markdown.

use std::path::Path;

/// A fenced block.
pub(crate) struct Block {
    pub(crate) language: String,
    pub(crate) text: String,
    /// Where it begins, for messages.
    pub(crate) place: String,
}

/// The fenced blocks of a page, those in items of lists, too.
pub(crate) fn blocks(page: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(page).expect("the page can be read");
    let mut blocks: Vec<Block> = Vec::new();
    let mut indent = None;
    for (index, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        match (indent, inner.strip_prefix("```")) {
            (None, Some(language)) => {
                indent = Some(line.len() - inner.len());
                let place = format!("{}:{}", page.display(), index + 2);
                blocks.push(Block { language: language.to_owned(), text: String::new(), place });
            }
            (Some(_), Some("")) => indent = None,
            (Some(indent), _) => {
                let block = blocks.last_mut().expect("a block is open");
                block.text.push_str(line.get(indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(indent.is_none(), "{}: a block is not closed", page.display());
    blocks
}
