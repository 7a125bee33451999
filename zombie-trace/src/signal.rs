//! The signals: numbers, names and default actions (`signal(7)`, the numbers of x86-64 and arm64).

use std::borrow::Cow;

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        $($(#[$doc])* pub const $name: u32 = $number;)*

        /// The names that have a number of their own, in the order of it.
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

signals! {
    /// The terminal is gone; for daemons, to reload.
    SIGHUP = 1;
    /// From the terminal.
    SIGINT = 2;
    /// From the terminal, with a core.
    SIGQUIT = 3;
    /// An instruction that there is not.
    SIGILL = 4;
    /// A breakpoint.
    SIGTRAP = 5;
    /// `abort()`.
    SIGABRT = 6;
    /// Memory that cannot be reached.
    SIGBUS = 7;
    /// Arithmetic that has no result.
    SIGFPE = 8;
    /// Ends the process, whatever it does.
    SIGKILL = 9;
    /// For the program's own purposes.
    SIGUSR1 = 10;
    /// Memory that is not the process's.
    SIGSEGV = 11;
    /// For the program's own purposes.
    SIGUSR2 = 12;
    /// A write to a pipe or socket that nobody reads.
    SIGPIPE = 13;
    /// A timer.
    SIGALRM = 14;
    /// Ends a program by default; what a container is stopped with, unless its image says otherwise.
    SIGTERM = 15;
    /// Unused.
    SIGSTKFLT = 16;
    /// A child died, stopped or went on.
    SIGCHLD = 17;
    /// Go on after a stop.
    SIGCONT = 18;
    /// Stops the process, whatever it does.
    SIGSTOP = 19;
    /// Stop, from the terminal.
    SIGTSTP = 20;
    /// A background job reads from the terminal.
    SIGTTIN = 21;
    /// A background job writes to the terminal.
    SIGTTOU = 22;
    /// Urgent data; Go's preemption.
    SIGURG = 23;
    /// RLIMIT_CPU is used up.
    SIGXCPU = 24;
    /// RLIMIT_FSIZE is used up.
    SIGXFSZ = 25;
    /// A timer of CPU time.
    SIGVTALRM = 26;
    /// A profiler's timer.
    SIGPROF = 27;
    /// The terminal's window has another size.
    SIGWINCH = 28;
    /// Input or output is possible.
    SIGIO = 29;
    /// The power fails.
    SIGPWR = 30;
    /// A system call that there is not, or that seccomp forbids.
    SIGSYS = 31;
}

/// Other names for the same.
const ALIASES: [(&str, u32); 3] = [("SIGIOT", 6), ("SIGCLD", 17), ("SIGPOLL", 29)];

/// What glibc and musl leave to programs of the kernel's 32 to 64.
pub const SIGRTMIN: u32 = 34;
/// The last one.
pub const SIGRTMAX: u32 = 64;

/// The name of a signal, `SIGTERM` or `SIGRTMIN+3`; a number that is none is shown as it is.
#[must_use]
pub fn name(number: u32) -> Cow<'static, str> {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    match index.and_then(|index| NAMES.get(index)) {
        Some(&name) => Cow::Borrowed(name),
        None if number == SIGRTMIN => Cow::Borrowed("SIGRTMIN"),
        None if number == SIGRTMAX => Cow::Borrowed("SIGRTMAX"),
        None if (SIGRTMIN..SIGRTMAX).contains(&number) => Cow::Owned(format!("SIGRTMIN+{}", number - SIGRTMIN)),
        None => Cow::Owned(format!("signal {number}")),
    }
}

/// The signal that a person means: `SIGTERM`, `TERM`, `term`, `15`, `RTMIN+3`, `SIGRTMAX-1`.
#[must_use]
pub fn number(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return (1..=SIGRTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest.strip_prefix(sign)?.parse::<u32>().ok().filter(|offset| *offset <= SIGRTMAX - SIGRTMIN),
    };
    if let Some(rest) = short.strip_prefix("RTMIN") {
        return offset(rest, '+').map(|offset| SIGRTMIN + offset);
    }
    if let Some(rest) = short.strip_prefix("RTMAX") {
        return offset(rest, '-').map(|offset| SIGRTMAX - offset);
    }
    let known = NAMES.iter().copied().zip(1..);
    known.chain(ALIASES).find(|(name, _)| &name[3..] == short).map(|(_, number)| number)
}

/// The signal's bit in the masks of `/proc/PID/status`; 0 where there is no such signal.
#[must_use]
pub const fn bit(number: u32) -> u64 {
    if number == 0 || number > SIGRTMAX { 0 } else { 1 << (number - 1) }
}

/// Whether the default action is to do nothing.
#[must_use]
pub const fn is_ignored_by_default(number: u32) -> bool {
    matches!(number, SIGCHLD | SIGCONT | SIGURG | SIGWINCH)
}

/// Whether the default action is to stop the process.
#[must_use]
pub const fn stops_by_default(number: u32) -> bool {
    matches!(number, SIGSTOP | SIGTSTP | SIGTTIN | SIGTTOU)
}

/// Whether each that is sent is queued, though the same is pending already.
#[must_use]
pub const fn is_queued(number: u32) -> bool {
    // The kernel's own SIGRTMIN: the C libraries keep two for themselves.
    number >= 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_number() {
        for signal in (1..=31).chain(34..=64) {
            assert_eq!(number(&name(signal)), Some(signal), "{}", name(signal));
        }
    }

    #[test]
    fn the_numbers_are_those_of_the_c_library() {
        let pairs = [
            (libc::SIGHUP, SIGHUP),
            (libc::SIGABRT, SIGABRT),
            (libc::SIGKILL, SIGKILL),
            (libc::SIGPIPE, SIGPIPE),
            (libc::SIGCHLD, SIGCHLD),
            (libc::SIGCONT, SIGCONT),
            (libc::SIGSTOP, SIGSTOP),
            (libc::SIGURG, SIGURG),
            (libc::SIGXFSZ, SIGXFSZ),
            (libc::SIGWINCH, SIGWINCH),
            (libc::SIGIO, SIGIO),
            (libc::SIGTERM, SIGTERM),
            (libc::SIGRTMIN(), SIGRTMIN),
            (libc::SIGRTMAX(), SIGRTMAX),
        ];
        assert!(pairs.iter().all(|(theirs, ours)| theirs.cast_unsigned() == *ours));
        assert_eq!(number("SYS"), Some(libc::SIGSYS.cast_unsigned()));
    }

    #[test]
    fn what_people_write_is_understood() {
        for text in ["SIGTERM", "TERM", "sigterm", "term", "15"] {
            assert_eq!(number(text), Some(15), "{text}");
        }
        assert_eq!(number("SIGRTMIN+3"), Some(37));
        assert_eq!(number("rtmax-1"), Some(63));
        assert_eq!(number("POLL"), Some(29));
        for text in ["", "SIG", "0", "65", "RTMIN+31", "RTMAX-40", "RTMIN3", "TERMINATE", "-1", "RTMIN+-1"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn the_list_has_no_gap() {
        assert_eq!((NAMES.len(), NAMES[30]), (31, "SIGSYS"));
    }

    #[test]
    fn bits_are_those_of_proc() {
        assert_eq!([bit(SIGHUP), bit(SIGTERM), bit(64)], [1, 0x4000, 1 << 63]);
        assert_eq!(bit(0) | bit(65), 0);
    }

    #[test]
    fn names_are_those_of_signal_7() {
        let shown = [1, 9, 15, 17, 19, 31, 32, 34, 37, 64, 65, 0].map(|number| name(number).into_owned());
        assert_eq!(
            shown,
            [
                "SIGHUP",
                "SIGKILL",
                "SIGTERM",
                "SIGCHLD",
                "SIGSTOP",
                "SIGSYS",
                "signal 32",
                "SIGRTMIN",
                "SIGRTMIN+3",
                "SIGRTMAX",
                "signal 65",
                "signal 0"
            ]
        );
    }
}
