//! `/proc/PID/syscall`: which system call a thread is in, and with which arguments.

/// Where a thread is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// On a processor, in the kernel or not.
    Processor,
    /// In a system call.
    Call(Call),
}

/// A system call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    number: i64,
    pub(super) arguments: [u64; 6],
}

/// The object of a system call, and so the meaning of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The descriptor that its first argument names.
    Descriptor {
        /// Whether it writes.
        writes: bool,
    },
    /// The descriptors of an epoll.
    Epoll,
    /// The descriptors at the address in the first argument; the second is their number.
    Poll,
    /// The descriptors below the first argument.
    Select,
    /// A futex.
    Futex,
    /// Time.
    Timer,
    /// A signal.
    Signal,
    /// A new process.
    Fork,
    /// A child, by pid.
    Wait4,
    /// A child, by kind and id.
    Waitid,
    /// Something else.
    Other,
}

const READS: About = About::Descriptor { writes: false };
const WRITES: About = About::Descriptor { writes: true };

/// The calls in which threads sleep.
const CALLS: &[(libc::c_long, &str, About)] = &[
    (libc::SYS_read, "read", READS),
    (libc::SYS_readv, "readv", READS),
    (libc::SYS_pread64, "pread64", READS),
    (libc::SYS_recvfrom, "recvfrom", READS),
    (libc::SYS_recvmsg, "recvmsg", READS),
    (libc::SYS_accept, "accept", READS),
    (libc::SYS_accept4, "accept4", READS),
    (libc::SYS_getdents64, "getdents64", READS),
    (libc::SYS_ioctl, "ioctl", READS),
    (libc::SYS_fcntl, "fcntl", READS),
    (libc::SYS_flock, "flock", READS),
    (libc::SYS_splice, "splice", READS),
    (libc::SYS_write, "write", WRITES),
    (libc::SYS_writev, "writev", WRITES),
    (libc::SYS_pwrite64, "pwrite64", WRITES),
    (libc::SYS_sendto, "sendto", WRITES),
    (libc::SYS_sendmsg, "sendmsg", WRITES),
    (libc::SYS_connect, "connect", WRITES),
    (libc::SYS_fsync, "fsync", WRITES),
    (libc::SYS_fdatasync, "fdatasync", WRITES),
    (libc::SYS_epoll_pwait, "epoll_pwait", About::Epoll),
    (libc::SYS_epoll_pwait2, "epoll_pwait2", About::Epoll),
    (libc::SYS_io_uring_enter, "io_uring_enter", About::Epoll),
    (libc::SYS_ppoll, "ppoll", About::Poll),
    (libc::SYS_pselect6, "pselect6", About::Select),
    (libc::SYS_futex, "futex", About::Futex),
    (libc::SYS_nanosleep, "nanosleep", About::Timer),
    (libc::SYS_clock_nanosleep, "clock_nanosleep", About::Timer),
    (libc::SYS_restart_syscall, "restart_syscall", About::Other),
    (libc::SYS_rt_sigsuspend, "rt_sigsuspend", About::Signal),
    (libc::SYS_rt_sigtimedwait, "rt_sigtimedwait", About::Signal),
    (libc::SYS_clone, "clone", About::Fork),
    (libc::SYS_clone3, "clone3", About::Fork),
    (libc::SYS_wait4, "wait4", About::Wait4),
    (libc::SYS_waitid, "waitid", About::Waitid),
    (libc::SYS_execve, "execve", About::Other),
    (libc::SYS_exit_group, "exit_group", About::Other),
    (libc::SYS_openat, "openat", About::Other),
    (libc::SYS_close, "close", About::Other),
    (libc::SYS_msgrcv, "msgrcv", About::Other),
    (libc::SYS_semtimedop, "semtimedop", About::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, "open", About::Other),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, "epoll_wait", About::Epoll),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, "poll", About::Poll),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, "select", About::Select),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, "pause", About::Signal),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_fork, "fork", About::Fork),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_vfork, "vfork", About::Fork),
];

impl Call {
    fn known(&self) -> Option<&'static (libc::c_long, &'static str, About)> {
        CALLS.iter().find(|(number, ..)| *number == self.number)
    }

    /// Its name, or its number where that is all that is known.
    pub(super) fn name(&self) -> String {
        self.known().map_or_else(|| format!("system call {}", self.number), |(_, name, _)| (*name).to_owned())
    }

    pub(super) fn about(&self) -> About {
        self.known().map_or(About::Other, |&(.., about)| about)
    }
}

/// `running`, or the number of the call (-1 for none), its arguments, the stack and the instruction. `None` for a
/// thread that sleeps outside all calls, or in a 32-bit program, recognised by its stack address, because its calls
/// have other numbers.
pub(super) fn parse(text: &[u8]) -> Option<Where> {
    let mut fields = std::str::from_utf8(text).ok()?.split_ascii_whitespace();
    let first = fields.next()?;
    if first == "running" {
        return Some(Where::Processor);
    }
    let number = first.parse().ok().filter(|&number| number >= 0)?;
    let mut value = || u64::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok();
    let mut arguments = [0; 6];
    for argument in &mut arguments {
        *argument = value()?;
    }
    let stack = value()?;
    (stack > u64::from(u32::MAX)).then_some(Where::Call(Call { number, arguments }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> Option<Call> {
        match parse(text.as_bytes())? {
            Where::Call(call) => Some(call),
            Where::Processor => None,
        }
    }

    #[test]
    fn a_call_has_a_name_and_arguments() {
        let line = format!("{} 0x3 0x7ffd0 0x100 0x0 0x0 0x0 0x7ffd4a3e1c58 0x7f1c0a0b1f9d\n", libc::SYS_read);
        let read = call(&line).unwrap();
        assert_eq!((read.name().as_str(), read.about(), read.arguments[0]), ("read", READS, 3));
    }

    #[test]
    fn what_is_in_no_call_or_in_one_of_a_32_bit_program_has_none() {
        assert_eq!(parse(b"running\n"), Some(Where::Processor));
        assert_eq!(parse(b"-1 0x7ffd4a3e1c58 0x7f1c0a0b1f9d\n"), None);
        assert_eq!(parse(b"3 0x3 0x7ffd0 0x100 0x0 0x0 0x0 0xffa01c58 0xf7f9d\n"), None);
        for broken in ["", "3", "3 0x1", "x 0x1"] {
            assert_eq!(parse(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn a_call_that_is_not_known_is_told_by_its_number() {
        let odd = call("9999 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd4a3e1c58 0x1").unwrap();
        assert_eq!((odd.name().as_str(), odd.about()), ("system call 9999", About::Other));
    }
}
