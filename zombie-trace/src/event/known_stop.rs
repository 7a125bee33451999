//! A stop that was in progress when a file of a recording began.

use serde::{Deserialize, Serialize};

use super::{
    BootNs, Comm, Disposition, Doing, DropReason, ExitStatus, KnownAsked, KnownNumber, KnownSender, ProcessKey,
    Relation, Runtime, known::is_default,
};

/// An init that was sent signals which may be meant to stop it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownStop {
    /// The init.
    pub process: ProcessKey,
    /// Inode of its pid namespace.
    pub namespace: u32,
    /// The signals in order.
    pub attempts: Vec<KnownAttempt>,
    /// The first SIGKILL, and who sent it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kill: Option<(BootNs, Option<KnownSender>)>,
    /// Its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: Option<(BootNs, ExitStatus)>,
    /// The last processes that were killed without a stop signal before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub killed: Vec<KnownKill>,
    /// When the looks at it began, and how many were made.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks: (BootNs, usize),
    /// What is known about it and the others in its namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub members: Vec<KnownMember>,
    /// How many more took part, and when the last of them ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub more: (u64, BootNs),
    /// When the init last called exec.
    #[serde(default, skip_serializing_if = "is_default")]
    pub became: Option<BootNs>,
    /// When it last started a process.
    #[serde(default, skip_serializing_if = "is_default")]
    pub forked: Option<BootNs>,
    /// When events were last lost, if any: they may have contained stop signals.
    #[serde(default, skip_serializing_if = "is_default")]
    pub last_loss: Option<BootNs>,
}

/// A signal that may be meant to stop an init.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownAttempt {
    /// The signal.
    pub signal: u32,
    /// When it was first sent.
    pub first: BootNs,
    /// When it was last sent.
    pub last: BootNs,
    /// How often it was sent.
    pub count: u64,
    /// Who sent it first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub sender: Option<KnownSender>,
    /// Where the sender is, seen from the init.
    pub relation: Relation,
    /// What the init did with it when it was first sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disposition: Option<Disposition>,
    /// Why one of them did not reach the init, and when the last such one was sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dropped: Option<(DropReason, BootNs)>,
    /// When the init sent it to itself again, which the kernel dropped.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reraised: Option<BootNs>,
    /// One of them did reach the init.
    #[serde(default, skip_serializing_if = "is_default")]
    pub is_received: bool,
    /// How many were killed since without a stop signal before.
    #[serde(default, skip_serializing_if = "is_default")]
    pub killed: u64,
}

/// A process that was killed without a stop signal before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownKill {
    /// Who.
    pub process: ProcessKey,
    /// Its name.
    pub comm: Comm,
    /// Its number in its own namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ns: Option<KnownNumber>,
    /// Depth of that namespace.
    #[serde(default, skip_serializing_if = "is_default")]
    pub level: u32,
    /// Its cgroup.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cgroup: u64,
    /// Its real user id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub uid: Option<u32>,
    /// Path of its executable.
    #[serde(default, skip_serializing_if = "is_default")]
    pub exe: Option<Box<str>>,
    /// When it died.
    pub died: BootNs,
    /// When it got a stop signal.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asked_at: Option<BootNs>,
}

/// A process of a namespace whose init is being stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownMember {
    /// The process.
    pub process: ProcessKey,
    /// Its parent when it was first looked at.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<ProcessKey>,
    /// The last looks at it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub looks: Vec<Look>,
    /// Its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub end: Option<Box<KnownEnd>>,
}

/// How such a process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KnownEnd {
    /// Who it was, and when it died.
    pub who: KnownKill,
    /// How.
    pub status: ExitStatus,
    /// Its parent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub parent: Option<ProcessKey>,
    /// What it was sent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub asked: Option<KnownAsked>,
}

/// What was seen of a process while a stop was under way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// When.
    pub at: BootNs,
    /// State letter of its leader.
    pub state: char,
    /// Signals with a handler, bit n-1 for signal n.
    pub caught: u64,
    /// Those that it ignores.
    pub ignored: u64,
    /// Those that its leader blocks.
    pub blocked: u64,
    /// Since when it cannot run, if two looks show it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub held_since: Option<BootNs>,
    /// The frozen cgroup that holds it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub frozen_by: Option<Box<str>>,
    /// Its tracer.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tracer: Option<u32>,
    /// Where in the kernel its leader sleeps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub wait_channel: Option<Box<str>>,
    /// Its language or runtime.
    #[serde(default, skip_serializing_if = "is_default")]
    pub runtime: Option<Runtime>,
    /// What its leader does, and a thread that waits for a child.
    #[serde(default, skip_serializing_if = "is_default")]
    pub doing: Vec<Doing>,
}
