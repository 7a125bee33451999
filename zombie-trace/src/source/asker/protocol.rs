//! Questions to a reader, its answers, and their encoding on a socket.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    container::Container,
    event::{BootNs, Doing, Gap, PidLimits, PidsUsage, ProcFacts, ProcessKey, Seed, Unread},
    source::proc::SignalReaders,
};

/// Maximum length of a question or answer, bytes.
const MAX_FRAME: usize = 16 << 20;

/// Something to read about other processes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Question {
    /// The process with this pid, for a scan.
    Seed(u32),
    /// All facts for the diagnosis of a process.
    Process(ProcessKey),
    /// How many pids a process may use.
    Limits {
        /// The process.
        process: ProcessKey,
        /// Its cgroup, in case the process is gone; 0 if unknown.
        cgroup: u64,
        /// When its fork failed, ns of the boot clock: earlier counts do not help.
        failed: BootNs,
    },
    /// The path of a cgroup id.
    Cgroup(u64),
    /// The containers of these cgroup paths.
    Containers(Vec<String>),
    /// What the init of a pid namespace does with signals.
    Init(ProcessKey),
    /// The cgroups of a process, and its limit on processes per user.
    Environment(ProcessKey),
    /// The numbers of the `pids` controller for the text of a `/proc/PID/cgroup`.
    Usage(Vec<u8>),
}

/// The answer to a question of the same name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// The time before reading, the process (`None` if there is none, or it is a kernel thread), and whether it was
    /// read only briefly.
    Seed(BootNs, Option<Box<Seed>>, bool),
    /// See [`Looked`].
    Process(Box<Looked>),
    /// The limits.
    Limits(Box<PidLimits>),
    /// Path and container, or why the container was not looked up; `None` if the cgroup is gone.
    Cgroup(Option<(String, Result<Option<Container>, Unread>)>),
    /// One per path, or why they were not looked up.
    Containers(Result<Vec<Option<Container>>, Unread>),
    /// `None` if the process is gone.
    Init(Option<Box<(ProcFacts, SignalReaders)>>),
    /// The contents of `/proc/PID/cgroup`, and the soft limit of processes if there is one.
    Environment(Option<Vec<u8>>, Option<u64>),
    /// Innermost first.
    Usage(Vec<PidsUsage>),
}

/// What was read for the diagnosis of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Looked {
    /// Time before reading, ns of the boot clock.
    pub time: BootNs,
    /// Its limits on pids.
    pub limits: PidLimits,
    /// What `/proc` says; `None` if it is gone.
    pub proc: Option<ProcFacts>,
    /// Whether it has an io_uring; `None` if that could not be seen.
    pub uses_io_uring: Option<bool>,
    /// What was not read, or only partly.
    pub gaps: Vec<Gap>,
    /// What its threads do.
    pub doing: Vec<Doing>,
}

impl Question {
    /// The process it is about, if any.
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Seed(pid) => Some(*pid),
            Self::Process(process) | Self::Init(process) => Some(process.pid),
            Self::Limits { .. } | Self::Cgroup(_) | Self::Containers(_) | Self::Environment(_) | Self::Usage(_) => None,
        }
    }
}

/// Some questions at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Request {
    /// Each with a reason if what another process can stall (its memory and its files) is to be skipped.
    pub(super) questions: Vec<(Question, Option<Unread>)>,
}

/// What a reader sends: an answer to each question, in their order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Still working on the question.
    Busy,
    /// The answer.
    Done(Reply),
}

/// Writes one value with its length before it.
pub(super) fn send(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, value)?;
    let length = u32::try_from(frame.len() - 4).map_err(|_| io::ErrorKind::InvalidData)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    to.write_all(&frame)
}

/// Reads what [`send`] wrote.
pub(super) fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > MAX_FRAME {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    from.read_exact(&mut frame)?;
    Ok(serde_json::from_slice(&frame)?)
}
