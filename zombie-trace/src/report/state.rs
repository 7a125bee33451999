//! What a session knows. What it does is in [`super::session`].

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::{
    Clock, Coverage, Following, Scope,
    findings::Severity,
    records::{Notice, StuckRecord},
};
use crate::{diagnosis::Verdict, event::ProcessKey, model::Model};

/// Model, diagnosis and scope in one: what `live` runs on events as they come, and `report` on recorded ones.
#[derive(Debug)]
pub struct Session {
    pub(super) model: Model,
    pub(super) scope: Scope,
    pub(super) clock: Clock,
    /// The last verdict on each parent, for those that are gone when the report is made.
    pub(super) verdicts: FxHashMap<ProcessKey, Verdict>,
    /// With this many of them, those of parents that the model has forgotten are sorted out.
    pub(super) max_verdicts: usize,
    /// Processes that could not go.
    pub(super) stuck: Vec<(StuckRecord, Severity)>,
    pub(super) coverage: Coverage,
    pub(super) notices: VecDeque<Notice>,
    /// Where a command is followed amid the whole machine: which containers are its own.
    pub(super) following: Option<Following>,
    /// Processes whose command lines that takes.
    pub(super) asked_words: VecDeque<ProcessKey>,
}
