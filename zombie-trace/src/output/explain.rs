//! What ids mean, for people and for programs.

use std::io::{self, Write};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Reporter, document::Plain, style::paint};
use crate::explain::{Block, Section};

/// Columns of prose at most, however wide the terminal is.
const MAX_COLUMNS: usize = 100;

/// Maximum number of ids that a report names in one command.
const MAX_NAMED: usize = 6;

/// The command that explains these ids, each once and in their order; `None` if there are none.
pub(super) fn explain_command<'a>(ids: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut named: Vec<&str> = Vec::new();
    for id in ids {
        if !named.contains(&id) {
            named.push(id);
        }
    }
    named.truncate(MAX_NAMED);
    (!named.is_empty()).then(|| format!("zombie-trace explain {}", named.join(" ")))
}

/// Sections whole, or a line for each.
#[derive(Debug)]
pub struct Explanation {
    /// Which.
    pub sections: Vec<Section>,
    /// Only their ids and what they mean.
    pub brief: bool,
}

impl<W: Write> Reporter<Explanation> for Plain<W> {
    fn report(&mut self, explanation: &Explanation) -> io::Result<()> {
        if explanation.brief {
            return self.list(&explanation.sections);
        }
        for (index, section) in explanation.sections.iter().enumerate() {
            if index > 0 {
                writeln!(self.out)?;
            }
            self.section(section)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl<W: Write> Plain<W> {
    fn list(&mut self, sections: &[Section]) -> io::Result<()> {
        let mut page = "";
        let widest = sections.iter().map(|section| section.id.len()).max().unwrap_or_default();
        for section in sections {
            if section.page != page {
                let gap = if page.is_empty() { "" } else { "\n" };
                writeln!(self.out, "{gap}{}\n", paint(self.palette.heading, section.page))?;
                page = section.page;
            }
            let id = format!("{:widest$}", section.id);
            self.wrap(&format!("  {}  ", paint(self.palette.name, &id)), 2 + widest + 2, &section.summary())?;
        }
        writeln!(self.out, "\n`zombie-trace explain ID` says how each is known and how to correct it.")
    }

    fn section(&mut self, section: &Section) -> io::Result<()> {
        writeln!(self.out, "{}", paint(self.palette.heading, section.id))?;
        for block in section.blocks() {
            match block {
                Block::Heading(3, title) => writeln!(self.out, "\n{}", paint(self.palette.heading, title))?,
                Block::Heading(_, title) => writeln!(self.out, "\n  {}", paint(self.palette.name, title))?,
                Block::Code(_, code) => {
                    writeln!(self.out)?;
                    for line in code.lines() {
                        writeln!(self.out, "{}{line}", if line.is_empty() { "" } else { "      " })?;
                    }
                }
                Block::Item(text) => self.wrap("  - ", 4, &text)?,
                Block::Paragraph(text) => {
                    writeln!(self.out)?;
                    self.wrap("  ", 2, &text)?;
                }
            }
        }
        Ok(())
    }

    /// Words on lines of the terminal's width, each but the first behind `indent` spaces.
    fn wrap(&mut self, head: &str, indent: usize, text: &str) -> io::Result<()> {
        let columns = self.palette.columns.clamp(indent + 20, MAX_COLUMNS.max(indent + 20));
        let mut line = head.to_owned();
        let mut used = indent;
        for word in text.split(' ') {
            let length = word.chars().count();
            if used > indent && used + 1 + length > columns {
                writeln!(self.out, "{}", line.trim_end())?;
                line = " ".repeat(indent);
                used = indent;
            }
            if used > indent {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
        writeln!(self.out, "{line}")
    }
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let sections: Vec<Part> = self.sections.iter().map(|section| Part { section, brief: self.brief }).collect();
        let mut document = serializer.serialize_struct("Explanation", 2)?;
        document.serialize_field("schema", "zombie-trace.explain/1")?;
        document.serialize_field("ids", &sections)?;
        document.end()
    }
}

struct Part<'a> {
    section: &'a Section,
    brief: bool,
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Part", 4)?;
        object.serialize_field("id", self.section.id)?;
        object.serialize_field("about", self.section.page)?;
        object.serialize_field("summary", &self.section.summary())?;
        if self.brief {
            object.skip_field("markdown")?;
        } else {
            object.serialize_field("markdown", self.section.text.trim())?;
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{explain, output::Palette};

    fn printed(explanation: &Explanation, columns: usize) -> String {
        let mut out = Vec::new();
        Plain::new(&mut out, Palette { columns, ..Palette::default() }).report(explanation).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_section_is_printed_with_its_parts_and_code_as_it_is() {
        let explanation = Explanation { sections: vec![explain::find("init-bypassed").unwrap()], brief: false };
        insta::assert_snapshot!(printed(&explanation, 80));
    }

    #[test]
    fn prose_fits_the_terminal_and_no_word_is_lost() {
        let explanation = Explanation { sections: explain::sections().collect(), brief: true };
        for columns in [60, 80, 200] {
            let text = printed(&explanation, columns);
            let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(longest <= columns.clamp(76, 100), "{longest} of {columns} columns");
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for section in &explanation.sections {
                assert!(words.contains(&format!("{} {}", section.id, section.summary())), "{}", section.id);
            }
        }
    }

    #[test]
    fn programs_get_the_markdown() {
        let json = |brief| {
            let sections = vec![explain::find("never-waits").unwrap()];
            serde_json::to_value(Explanation { sections, brief }).unwrap()
        };
        assert_eq!(json(false)["schema"], "zombie-trace.explain/1");
        assert_eq!(json(false)["ids"][0]["id"], "never-waits");
        assert!(json(false)["ids"][0]["markdown"].as_str().unwrap().contains("### Fix"));
        assert!(json(true)["ids"][0].get("markdown").is_none());
    }
}
