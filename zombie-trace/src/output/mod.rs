//! How things are printed: one interface, one file per format.

pub mod check;
pub mod document;
pub mod explain;
mod html;
pub mod init_check;
mod json;
mod names;
mod perfetto;
mod reporter;
pub mod scan;
mod style;
mod text;
mod time;
mod timeline;

#[cfg(test)]
mod tests;

pub use html::Html;
pub use json::JsonLines;
pub use perfetto::Perfetto;
pub use reporter::{LastReport, Reporter, Summaries};
pub use style::Palette;
pub use text::Text;
pub use time::rfc3339;
pub(crate) use time::timestamp;
