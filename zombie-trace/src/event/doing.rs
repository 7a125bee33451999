//! What the threads of a process do instead of waiting for its zombies.
//!
//! Recordings hold it as JSON: variants may be added to [`Object`], see [`Object::Other`].

use serde::{Deserialize, Serialize};

use super::{BootNs, Comm};

/// Maximum number of threads looked at in a process.
pub const MAX_DOING: usize = 16;

/// One thread and what it does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doing {
    /// The thread.
    pub tid: u32,
    /// Its name.
    pub comm: Comm,
    /// State letter.
    pub state: char,
    /// The system call that it is in, by name or else by number; `None` if none or unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syscall: Option<String>,
    /// What the call is about.
    #[serde(default, skip_serializing_if = "Object::is_unknown")]
    pub object: Object,
    /// Its context switches: if unchanged between two looks, it did not move.
    #[serde(default)]
    pub switches: u64,
    /// When it was first seen in the same place, if two looks show that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<BootNs>,
}

impl Doing {
    /// Approximate memory size, bytes.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.syscall.as_ref().map_or(0, String::len) + self.object.memory()
    }

    /// Compares with an earlier look at the same threads: those that have not run since are in the same place.
    pub(crate) fn compare(&mut self, at: BootNs, before: &[Self]) {
        let same = before.iter().find(|it| {
            it.tid == self.tid && it.state == self.state && it.switches == self.switches && it.syscall == self.syscall
        });
        self.since = same.filter(|_| self.state != 'R').map(|it| it.since.unwrap_or(at));
    }
}

/// What a system call is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Object {
    /// Not known.
    #[default]
    Unknown,
    /// A pipe, named or not.
    Pipe(Channel),
    /// A socket.
    Socket(Channel),
    /// A file.
    File {
        /// Its path in the process's root.
        path: String,
        /// The type of its file system, if the process sees the mount.
        file_system: Option<String>,
    },
    /// A lock, a condition, or the end of a thread.
    Futex,
    /// An event loop: it sleeps until something happens to any of its descriptors.
    Events {
        /// The number of descriptors, if the call says so.
        count: Option<u64>,
        /// The first of them, if the call says so.
        first: Vec<Object>,
    },
    /// It sleeps until a time has passed.
    Timer,
    /// It sleeps until a signal comes.
    Signal,
    /// It waits for any child.
    AnyChild,
    /// It waits for the children of a process group, a number in its own pid namespace; 0 is its own.
    Group {
        /// The group.
        number: u32,
    },
    /// It waits for this child to die.
    Child(Awaited),
    /// It has called vfork and sleeps until this child calls exec or dies.
    Vfork {
        /// Its newest child; `None` if that is not known.
        child: Option<Awaited>,
    },
    /// It runs, outside the kernel.
    Processor,
    /// Something from a newer version.
    #[serde(other)]
    Other,
}

impl Object {
    /// Approximate heap size, bytes.
    fn memory(&self) -> usize {
        match self {
            Self::Pipe(channel) | Self::Socket(channel) => channel.holders.len() * size_of::<Holder>(),
            Self::File { path, file_system } => path.len() + file_system.as_ref().map_or(0, String::len),
            Self::Events { first, .. } => first.iter().map(|it| size_of::<Self>() + it.memory()).sum(),
            Self::Child(child) | Self::Vfork { child: Some(child) } => {
                child.wait_channel.as_ref().map_or(0, String::len)
            }
            _ => 0,
        }
    }

    /// Whether nothing is known of it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Other)
    }
}

/// A pipe or a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its inode.
    pub inode: u64,
    /// Whether the thread writes to it.
    #[serde(default)]
    pub writes: bool,
    /// Who holds the other end, the process itself included.
    #[serde(default)]
    pub holders: Vec<Holder>,
    /// The search was incomplete: there may be more holders.
    #[serde(default)]
    pub is_cut: bool,
    /// Inode of the connected socket, if known; a pipe has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<u64>,
}

/// A process that holds the other end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its pid.
    pub pid: u32,
    /// Its name.
    pub comm: Comm,
}

/// A child that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its number in the waiting process's pid namespace.
    pub number: u32,
    /// Its pid; `None` if that is not known.
    pub pid: Option<u32>,
    /// Its name, if its pid is known.
    pub comm: Option<Comm>,
    /// Its state letter.
    pub state: Option<char>,
    /// Where it sleeps.
    pub wait_channel: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeping(switches: u64) -> Doing {
        Doing {
            tid: 7,
            comm: *b"app\0\0\0\0\0\0\0\0\0\0\0\0\0",
            state: 'S',
            syscall: Some("read".to_owned()),
            object: Object::Pipe(Channel { inode: 5, ..Channel::default() }),
            switches,
            since: None,
        }
    }

    #[test]
    fn who_has_not_run_between_two_looks_sat_there_since_the_first() {
        let mut second = sleeping(3);
        second.compare(100, &[sleeping(3)]);
        let mut third = sleeping(3);
        third.compare(200, std::slice::from_ref(&second));
        assert_eq!((second.since, third.since), (Some(100), Some(100)));
        third.compare(300, &[sleeping(4)]);
        assert_eq!(third.since, None, "it ran");
        let mut other = Doing { syscall: Some("futex".to_owned()), ..sleeping(3) };
        other.compare(300, &[sleeping(3)]);
        assert_eq!(other.since, None, "it is in another call");
    }

    #[test]
    fn an_object_of_a_newer_version_is_another_one() {
        let text = r#"{"tid":7,"comm":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],"state":"S","object":{"kind":"new","x":1}}"#;
        assert_eq!(serde_json::from_str::<Doing>(text).unwrap().object, Object::Other);
        for object in [sleeping(1).object, Object::Group { number: 0 }, Object::Vfork { child: None }, Object::Timer] {
            let text = serde_json::to_string(&object).unwrap();
            assert_eq!(serde_json::from_str::<Object>(&text).unwrap(), object, "{text}");
        }
    }
}
