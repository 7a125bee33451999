//! Names of signals (`signal(7)`, the numbers of x86-64 and arm64).

use std::borrow::Cow;

/// Ends a program by default; what a container is stopped with, unless its image says otherwise.
pub const SIGTERM: u32 = 15;
/// From the terminal.
pub const SIGINT: u32 = 2;
/// The terminal is gone; for daemons, to reload.
pub const SIGHUP: u32 = 1;
/// From the terminal, with a core.
pub const SIGQUIT: u32 = 3;
/// For the program's own purposes.
pub const SIGUSR1: u32 = 10;
/// For the program's own purposes.
pub const SIGUSR2: u32 = 12;

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Other names for the same.
const ALIASES: [(&str, u32); 3] = [("SIGIOT", 6), ("SIGCLD", 17), ("SIGPOLL", 29)];

/// What glibc and musl leave to programs of the kernel's 32 to 64.
const SIGRTMIN: u32 = 34;
const SIGRTMAX: u32 = 64;

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
            (libc::SIGINT, SIGINT),
            (libc::SIGQUIT, SIGQUIT),
            (libc::SIGUSR1, SIGUSR1),
            (libc::SIGUSR2, SIGUSR2),
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
