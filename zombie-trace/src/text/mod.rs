//! Text that every layer needs: escaping, durations, sizes, and counts with nouns.

mod duration;
pub mod escape;
mod size;

pub use duration::duration;
pub use size::size;

/// `1 time`, `2 times`.
#[must_use]
pub fn times(count: u64) -> String {
    plural(count, "time", "times")
}

/// A count with its noun.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
