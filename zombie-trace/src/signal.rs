//! Names of signals (`signal(7)`, the numbers of x86-64 and arm64).

use std::borrow::Cow;

const NAMES: [&str; 31] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN",
    "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
];

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

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn names_are_those_of_signal_7() {
        let shown = [1, 9, 15, 17, 19, 31, 32, 34, 37, 64, 65, 0].map(|number| name(number).into_owned());
        assert_eq!(
            shown,
            [
                "SIGHUP", "SIGKILL", "SIGTERM", "SIGCHLD", "SIGSTOP", "SIGSYS", "signal 32", "SIGRTMIN", "SIGRTMIN+3",
                "SIGRTMAX", "signal 65", "signal 0"
            ]
        );
    }
}
