//! Colour, or none.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// Columns of a line where no terminal says how many it has.
const COLUMNS: usize = 100;

/// The styles of the text output, all plain where there is no terminal, and how wide that is.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Columns of a line. Only command lines are cut to fit.
    pub columns: usize,
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

impl Default for Palette {
    fn default() -> Self {
        let plain = Style::new();
        Self { columns: COLUMNS, bad: plain, doubtful: plain, good: plain, name: plain, dim: plain, heading: plain }
    }
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
            ..Self::default()
        }
    }

    /// With colour or without, as wide as the terminal at standard output is.
    #[must_use]
    pub fn of_stdout(color: bool) -> Self {
        let terminal = terminal_size::terminal_size_of(std::io::stdout());
        Self { columns: terminal.map_or(COLUMNS, |(width, _)| usize::from(width.0)), ..Self::new(color) }
    }
}

/// Text in a style.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}
