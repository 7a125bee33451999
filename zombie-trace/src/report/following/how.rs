//! How sure it is that a container is the command's.

use serde::Serialize;

/// Why a container is taken for one of the command's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Its first process descends from the command.
    Descends,
    /// A client of the command named it.
    Named,
    /// It started while a client of the command ran, and no other client could have started it.
    BeganMeanwhile,
    /// It was asked for by `--containers`.
    Asked,
}

impl How {
    /// In words, as the end of a sentence about the container.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Descends => "descends from the command",
            Self::Named => "named by a client of the command",
            Self::BeganMeanwhile => "started while a client of the command ran",
            Self::Asked => "asked for",
        }
    }
}
