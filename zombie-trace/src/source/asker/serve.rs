//! A reader: the process that reads others, so that only it can stall.
//!
//! It gets questions on a socket, answers them one by one, and exits when the other end is closed. What it reads may
//! stall it for ever; then it is killed and replaced.

use std::{
    io,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    time::{Duration, Instant},
};

use caps::Capability;
use rustix::thread::set_name;

use super::keeper::keep;
use super::protocol::{Answer, Looked, Question, Reply, Request, receive, send};
use crate::{
    container::{Container, Lookup},
    event::{Gap, Part, PidLimits, ProcessKey, Unread},
    probe,
    source::proc::{Census, Depth, MAX_CGROUPS, ProcReader, RingCache, boot_clock_now},
};

/// Time between two signs of life.
const SIGN_EVERY: Duration = Duration::from_millis(20);

/// Keeps readers for the process at the other end of standard input.
///
/// # Errors
/// Standard input is not a socket, or its input is invalid.
pub fn serve() -> io::Result<()> {
    ignore_endings()?;
    // The kernel names it after the link that started it.
    set_name(c"zombie-trace")?;
    // Only what reading needs, because its input is untrusted.
    let needed = [Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH];
    if let Err(error) = probe::keep_only(&needed) {
        log::debug!("a reader keeps its privileges: {error}");
    }
    let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    keep(line, |socket| serve_on(socket, ProcReader::new("/proc".into())))
}

/// Answers until the other end of this socket is closed.
pub(super) fn serve_on(mut socket: UnixStream, proc: ProcReader) -> io::Result<()> {
    send(&mut socket, &Answer::Busy)?;
    let mut server = Server::new(proc);
    loop {
        let request: Request = match receive(&mut socket) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        };
        for (question, brief) in request.questions {
            let mut sign = Instant::now();
            let reply = server.answer(question, brief, &mut || {
                if sign.elapsed() >= SIGN_EVERY {
                    sign = Instant::now();
                    // If the other end is closed, there is no next question.
                    let _ = send(&mut &socket, &Answer::Busy);
                }
            });
            send(&mut socket, &Answer::Done(reply))?;
        }
    }
}

/// Ignores signals meant for the tracer, such as Ctrl-C or a signal to the whole service: the reader is needed for the
/// final report.
fn ignore_endings() -> io::Result<()> {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
        // SAFETY: signal(int, sighandler_t) with a valid number and SIG_IGN, which installs no code.
        if unsafe { libc::signal(signal, libc::SIG_IGN) } == libc::SIG_ERR {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// What a reader remembers between questions.
struct Server {
    proc: ProcReader,
    lookup: Lookup,
    census: Census,
    rings: RingCache,
}

impl Server {
    fn new(proc: ProcReader) -> Self {
        Self { proc, lookup: Lookup::new(Path::new("/")), census: Census::default(), rings: RingCache::default() }
    }

    /// Slow work that is not stalled calls `alive` regularly.
    fn answer(&mut self, question: Question, brief: Option<Unread>, alive: &mut dyn FnMut()) -> Reply {
        let depth = if brief.is_some() { Depth::Brief } else { Depth::Full };
        match question {
            Question::Seed(pid) => {
                let time = boot_clock_now();
                Reply::Seed(time, self.proc.seed_to(depth, pid).map(Box::new), depth == Depth::Brief)
            }
            Question::Process(process) => Reply::Process(Box::new(self.look(process, brief, alive))),
            Question::Limits { process, cgroup, failed } => {
                let (proc, census) = (&self.proc, &mut self.census);
                Reply::Limits(Box::new(match depth {
                    Depth::Full => proc.limits_after(failed, process, cgroup, census, alive),
                    // Counting all tasks took too long; the limit is known without it.
                    Depth::Brief => PidLimits { failed: Some(failed), ..proc.limits(process, cgroup, census, alive) },
                }))
            }
            Question::Cgroup(id) => Reply::Cgroup(self.proc.cgroup_path(id, alive).map(|path| {
                let container = self.container(&path, brief);
                (path, container)
            })),
            Question::Containers(paths) => {
                Reply::Containers(paths.iter().map(|path| self.container(path, brief)).collect())
            }
            Question::Init(process) => Reply::Init(
                self.proc
                    .look(process.pid, process.start_ns, depth)
                    .and_then(|(facts, _)| Some(Box::new((facts, self.proc.signal_takers(process, depth, alive)?)))),
            ),
            Question::Environment(process) => {
                Reply::Environment(self.proc.cgroup_lines(process), self.proc.process_limit(process))
            }
            Question::Usage(lines) => Reply::Usage(self.proc.pids_usage(&lines)),
        }
    }

    fn container(&mut self, path: &str, brief: Option<Unread>) -> Result<Option<Container>, Unread> {
        match brief {
            // The runtimes' files may be on any file system.
            Some(reason) => Err(reason),
            None => Ok(self.lookup.container(path, Duration::from_nanos(boot_clock_now()))),
        }
    }

    fn look(&mut self, process: ProcessKey, brief: Option<Unread>, alive: &mut dyn FnMut()) -> Looked {
        let depth = if brief.is_some() { Depth::Brief } else { Depth::Full };
        let time = boot_clock_now();
        let limits = self.proc.limits(process, 0, &mut self.census, alive);
        let (proc, mut gaps) = self.proc.look(process.pid, process.start_ns, depth).unzip();
        let gaps_in = gaps.get_or_insert_default();
        let uses_io_uring = self.rings.uses_io_uring(&self.proc, process, depth, gaps_in);
        if let Some(reason) = brief.filter(|_| proc.is_some()) {
            gaps_in.extend([Part::CommandLine, Part::Executable].map(|part| Gap::unread(part, reason)));
        }
        if self.proc.cgroup_lines(process).is_some_and(|lines| self.proc.cgroups_are_cut(&lines)) {
            gaps_in.push(Gap::only(Part::Cgroups, MAX_CGROUPS.try_into().unwrap_or(u32::MAX)));
        }
        let is_32bit = if depth == Depth::Full { self.proc.is_32bit(process.pid) } else { None };
        let doing = self.proc.doing(process, depth, is_32bit);
        Looked { time, limits, proc, uses_io_uring, gaps: gaps.unwrap_or_default(), doing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_known_although_there_is_no_time_to_count_what_fills_it() {
        let mut server = Server::new(ProcReader::new("/proc".into()));
        let process = server.proc.seed(std::process::id()).unwrap().process;
        let question = Question::Limits { process, cgroup: 0, failed: 5 };
        let mut limits = |brief| match server.answer(question.clone(), brief, &mut || {}) {
            Reply::Limits(limits) => limits,
            other => panic!("{other:?}"),
        };
        let briefly = limits(Some(Unread::TimedOut));
        assert_eq!((briefly.failed, briefly.tasks, briefly.pid_max.is_some()), (Some(5), None, true));
        let whole = limits(None);
        assert_eq!((whole.failed, whole.tasks.is_some(), whole.cgroups.len()), (Some(5), true, briefly.cgroups.len()));
    }
}
