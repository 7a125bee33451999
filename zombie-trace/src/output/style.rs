//! Colours for people.

use std::fmt;

use anstyle::{AnsiColor, Style as Ansi};

/// What a piece of text is, for those who want colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A heading.
    Heading,
    /// What hurts.
    Bad,
    /// What is well.
    Good,
    /// What is aside.
    Faint,
}

/// Paints, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether to use colours.
    pub(super) color: bool,
}

impl Style {
    /// The text in the colour of its role.
    pub(super) fn paint<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        let style = match role {
            _ if !self.color => Ansi::new(),
            Role::Heading => Ansi::new().bold(),
            Role::Bad => AnsiColor::Red.on_default(),
            Role::Good => AnsiColor::Green.on_default(),
            Role::Faint => Ansi::new().dimmed(),
        };
        Painted { style, text }
    }
}

/// See [`Style::paint`].
pub(super) struct Painted<T> {
    style: Ansi,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.style)?;
        // Width and alignment are the text's: the codes take no room on the screen.
        self.text.fmt(formatter)?;
        write!(formatter, "{:#}", self.style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_colour_means_no_codes() {
        assert_eq!(format!("{:5}|", Style { color: false }.paint(Role::Bad, "x")), "x    |");
        assert_eq!(format!("{:5}|", Style { color: true }.paint(Role::Bad, "x")), "\x1b[31mx    \x1b[0m|");
    }
}
