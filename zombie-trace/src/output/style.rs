//! Colour, or none.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// The styles of the text output; all plain where there is no terminal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Palette {
    /// What is wrong.
    pub bad: Style,
    /// What may be wrong.
    pub doubtful: Style,
    /// What is well.
    pub good: Style,
    /// Names.
    pub name: Style,
    /// What matters less.
    pub dim: Style,
    /// Headings.
    pub heading: Style,
}

impl Palette {
    /// With colour or without.
    #[must_use]
    pub fn new(color: bool) -> Self {
        if !color {
            return Self::default();
        }
        Self {
            bad: AnsiColor::Red.on_default().bold(),
            doubtful: AnsiColor::Yellow.on_default(),
            good: AnsiColor::Green.on_default(),
            name: Style::new().bold(),
            dim: Style::new().dimmed(),
            heading: Style::new().bold().underline(),
        }
    }
}

/// Text in a style.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
