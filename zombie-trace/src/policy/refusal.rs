//! Why a policy or a baseline is refused: where and what, without a word of its content but the name of a key.
//!
//! The file may be a link that a pull request made, to a file that only root can read. What parsers say quotes values,
//! so only what they expected is taken from them.

use std::fmt;

use thiserror::Error;

use crate::text::escape;

/// Every key of the file.
const KEYS: [&str; 18] = [
    "max-zombie-age",
    "max-zombies-per-parent",
    "max-zombies-left",
    "allowed-causes",
    "denied-causes",
    "allowed-stop-causes",
    "denied-stop-causes",
    "max-dropped-signals",
    "max-failed-stops",
    "max-fork-failures",
    "max-lost-statuses",
    "max-stuck-processes",
    "max-lost-events",
    "command-failure",
    "allow",
    "finding",
    "reason",
    "expires",
];

/// The longest name of a key that is quoted, characters.
const MAX_KEY: usize = 64;

/// A policy that cannot be used.
#[derive(Debug, Error)]
pub struct PolicyError {
    /// Line and column, from 1.
    place: Option<(usize, usize)>,
    /// The key that it is about, if it is one of a policy.
    key: Option<&'static str>,
    what: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(out, "line {line}, column {column}: ")?;
        }
        if let Some(key) = self.key {
            write!(out, "`{key}`: ")?;
        }
        out.write_str(&self.what)
    }
}

impl PolicyError {
    /// What the parser of this text says.
    pub(super) fn of(text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).unwrap_or_default().lines().next().unwrap_or_default();
        let written = line.split('=').next().unwrap_or_default().trim();
        let key = KEYS.into_iter().find(|key| *key == written);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let place = (before.matches('\n').count() + 1, column);
        Self { place: Some(place), key, what: without_values(error.message()) }
    }

    /// What is wrong with a key as a whole.
    pub(super) fn whole(key: &'static str, what: String) -> Self {
        Self { place: None, key: Some(key), what }
    }
}

/// The message of a parser without the values that it quotes. What our own types say quotes none.
pub(super) fn without_values(message: &str) -> String {
    let message = message.trim_end();
    let quoted = |text: &str, what: &str, rest: &str| {
        let short: String = text.chars().take(MAX_KEY).collect();
        format!("{what} `{}`{rest}", escape::text(short.as_bytes()))
    };
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let (key, expected) = rest.rsplit_once("`, expected ").unwrap_or((rest, ""));
        // The list of what is known is ours; a key that contains these words is cut where they begin.
        let known = expected.strip_prefix("one of ").unwrap_or(expected);
        let known = if known.is_empty() { String::new() } else { format!("; known keys: {known}") };
        return quoted(key, "unknown key", &known);
    }
    for kind in ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `"] {
        if message.starts_with(kind) {
            let expected = message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
            return format!("expected {expected}");
        }
    }
    escape::text(message.as_bytes()).into_owned()
}
