//! The model, tested on streams of events: stories that read as sentences, and random histories against their truth.

mod evidence;
mod freeing;
mod held_threads;
mod lives;
mod nonsense;
mod properties;
mod reader;
mod reaping;
mod repair;
mod rotation;
mod signals;
mod simulator;
mod steals;
pub(super) mod story;
