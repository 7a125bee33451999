//! What each id means that the tool prints, how it is known, and how it is corrected.
//!
//! The one source is the folder `docs/causes`, which is part of the binary. This reads the little of Markdown that is used
//! there; a test reads it with a whole parser and compares.

#[cfg(test)]
mod tests;

/// The pages of `docs/causes`, in the order in which ids are listed.
const PAGES: [&str; 13] = [
    include_str!("../../docs/causes/parents.md"),
    include_str!("../../docs/causes/handlers.md"),
    include_str!("../../docs/causes/adopters.md"),
    include_str!("../../docs/causes/blocked.md"),
    include_str!("../../docs/causes/statuses.md"),
    include_str!("../../docs/causes/signals.md"),
    include_str!("../../docs/causes/stops.md"),
    include_str!("../../docs/causes/children.md"),
    include_str!("../../docs/causes/outcomes.md"),
    include_str!("../../docs/causes/forks.md"),
    include_str!("../../docs/causes/ends.md"),
    include_str!("../../docs/causes/rules.md"),
    include_str!("../../docs/causes/checks.md"),
];
/// First parts of the ids of findings; the second part is an id of its own.
const KINDS: [&str; 5] = ["zombies", "signals", "stops", "stuck", "forks"];
/// How alike two words must be to be taken for a slip of the pen, from 0 to 1.
const ALIKE: f64 = 0.75;
/// Maximum number of ids that are proposed.
const MAX_PROPOSED: usize = 3;

/// All that is said of one id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    /// The id.
    pub id: &'static str,
    /// What this and the sections beside it are about.
    pub page: &'static str,
    /// What is below its heading, as Markdown.
    pub text: &'static str,
}

/// A part of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading, 3 for the parts of each section and 4 for a language.
    Heading(usize, &'static str),
    /// Lines that stay as they are, and their language.
    Code(&'static str, &'static str),
    /// An item of a list.
    Item(String),
    /// A paragraph on one line.
    Paragraph(String),
}

/// All sections.
pub fn sections() -> impl Iterator<Item = Section> {
    PAGES.into_iter().flat_map(|page| {
        let title = page.lines().next().unwrap_or_default().trim_start_matches("# ");
        page.split("\n## ").skip(1).map(move |part| {
            let (id, text) = part.split_once('\n').unwrap_or((part, ""));
            Section { id, page: title, text }
        })
    })
}

/// The section of an id, or of the id of a finding (`zombies/never-waits/nginx`).
#[must_use]
pub fn find(id: &str) -> Option<Section> {
    let mut parts = id.split('/');
    let id = match (parts.next(), parts.next()) {
        (Some(kind), Some(id)) if KINDS.contains(&kind) => id,
        _ => id,
    };
    sections().find(|section| section.id == id)
}

/// Ids that look like this one, the most alike first.
#[must_use]
pub fn nearest(id: &str) -> Vec<&'static str> {
    let id = id.to_ascii_lowercase().replace('_', "-");
    let mut near: Vec<(f64, &str)> = sections()
        .map(|section| (strsim::jaro_winkler(&id, section.id), section.id))
        .filter(|(alike, _)| *alike >= ALIKE)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(MAX_PROPOSED).map(|(_, id)| id).collect()
}

impl Section {
    /// What it means, in a sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        self.blocks()
            .into_iter()
            .find_map(|block| match block {
                Block::Paragraph(text) => Some(text),
                _ => None,
            })
            .unwrap_or_default()
    }

    /// Its parts in order.
    #[must_use]
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut rest = self.text;
        // Whether the next line belongs to the block before it.
        let mut is_open = false;
        while !rest.is_empty() {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            let hashes = line.bytes().take_while(|&byte| byte == b'#').count();
            if let Some(language) = line.strip_prefix("```") {
                let (code, after) = after.split_once("```").unwrap_or((after, ""));
                rest = after.trim_start_matches('\n');
                blocks.push(Block::Code(language, code));
                is_open = false;
            } else if line.is_empty() {
                is_open = false;
            } else if hashes > 0 {
                blocks.push(Block::Heading(hashes, line[hashes..].trim_start()));
                is_open = false;
            } else if let Some(item) = line.strip_prefix("- ") {
                blocks.push(Block::Item(item.to_owned()));
                is_open = true;
            } else {
                match blocks.last_mut() {
                    Some(Block::Item(text) | Block::Paragraph(text)) if is_open => {
                        text.push(' ');
                        text.push_str(line.trim_start());
                    }
                    _ => blocks.push(Block::Paragraph(line.to_owned())),
                }
                is_open = true;
            }
        }
        blocks
    }
}
