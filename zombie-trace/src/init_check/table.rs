//! The checks.

use super::{
    Check, Judgement, Observation, environment, forwarding, inheriting,
    plan::{Environment, Inheritance, Plan},
    reaping, stopping,
};

const fn required(
    id: &'static str,
    plan: Plan,
    judge: fn(&Observation<'_>) -> Judgement,
    demand: &'static str,
) -> Check {
    Check { id, required: true, demand, plan, judge }
}

const fn recommended(
    id: &'static str,
    plan: Plan,
    judge: fn(&Observation<'_>) -> Judgement,
    demand: &'static str,
) -> Check {
    Check { id, required: false, demand, plan, judge }
}

const fn forwards(id: &'static str, signal: i32, demand: &'static str) -> Check {
    recommended(id, Plan::Signal { signal }, forwarding::forwarded, demand)
}

/// The first signal that glibc and musl leave to programs.
const SIGRTMIN: i32 = 34;

/// All checks. Those with the same plan share one run.
#[rustfmt::skip]
pub const ALL: &[Check] = &[
    required("reaps-orphans", Plan::Orphans { count: 1 }, reaping::orphans,
        "PID 1 reaps an orphan that it adopts"),
    required("ends-within-grace", Plan::Stop, stopping::within_grace,
        "PID 1 exits within the grace period of its stop signal"),
    required("children-get-term", Plan::Stop, stopping::children,
        "the children of PID 1 get a chance to exit before the kernel kills the namespace"),

    recommended("reaps-100-orphans", Plan::Orphans { count: 100 }, reaping::orphans,
        "PID 1 reaps a hundred orphans that exit at once"),
    recommended("reaps-while-busy", Plan::OrphansWhileStopped { count: 100 }, reaping::orphans,
        "PID 1 reaps a hundred orphans that exit while it is busy, although their SIGCHLDs coalesce"),
    recommended("reaps-steadily", Plan::OrphanStream { count: 400, every_ms: 5 }, reaping::stream,
        "PID 1 reaps 99 % of a stream of orphans within 500 ms"),
    recommended("reaps-once", Plan::Orphans { count: 100 }, reaping::once,
        "PID 1 does not wait again for a child that it has reaped"),
    recommended("reaps-entered", Plan::EnteredOrphan, reaping::orphans,
        "PID 1 adopts and reaps the orphan of a process that entered the namespace, as `docker exec` does"),
    recommended("reaps-with-sigchld-blocked", Plan::InheritedSigchld(Inheritance::Blocked), inheriting::sigchld,
        "PID 1 still reaps when started with SIGCHLD blocked"),
    recommended("reaps-with-sigchld-ignored", Plan::InheritedSigchld(Inheritance::Ignored), inheriting::sigchld,
        "PID 1 still reaps when started with SIGCHLD ignored"),

    recommended("descendants-get-term", Plan::StopDescendants, stopping::descendants,
        "the grandchildren of PID 1 get the stop signal, and the time to exit"),
    recommended("ends-with-stop-blocked", Plan::InheritedStop(Inheritance::Blocked), inheriting::stop,
        "PID 1 exits on its stop signal even if started with that signal blocked"),
    recommended("ends-with-stop-ignored", Plan::InheritedStop(Inheritance::Ignored), inheriting::stop,
        "PID 1 exits on its stop signal even if started with that signal ignored"),

    forwards("forwards-term", libc::SIGTERM, "SIGTERM reaches the child, or the program itself if it has none"),
    forwards("forwards-int", libc::SIGINT, "SIGINT reaches the child, or the program itself if it has none"),
    forwards("forwards-hup", libc::SIGHUP, "SIGHUP reaches the child, or the program itself if it has none"),
    forwards("forwards-quit", libc::SIGQUIT, "SIGQUIT reaches the child, or the program itself if it has none"),
    forwards("forwards-usr1", libc::SIGUSR1, "SIGUSR1 reaches the child, or the program itself if it has none"),
    forwards("forwards-usr2", libc::SIGUSR2, "SIGUSR2 reaches the child, or the program itself if it has none"),
    forwards("forwards-winch", libc::SIGWINCH, "SIGWINCH reaches the child, or the program itself if it has none"),
    forwards("forwards-realtime", SIGRTMIN, "SIGRTMIN, the first real-time signal, reaches the child, or the program itself"),

    recommended("child-signal-mask", Plan::Orphans { count: 1 }, inheriting::mask,
        "children start with no signal blocked"),
    recommended("child-dispositions", Plan::Orphans { count: 1 }, inheriting::dispositions,
        "children start with no signal ignored"),

    recommended("passes-on-exit-code", Plan::ExitCodes, stopping::exit_codes,
        "PID 1 exits with the exit code of its child"),
    recommended("passes-on-death-by-signal", Plan::KillChild, stopping::passes_on,
        "PID 1 exits with 128 + n when its only child is killed by signal n"),
    recommended("ends-with-child-and-orphan", Plan::KillChildWithOrphan, stopping::passes_on,
        "PID 1 exits with 128 + n even if an orphan exits at the same time with another status"),

    recommended("read-only-root", Plan::Under(Environment::ReadOnlyRoot), environment::works,
        "PID 1 reaps and stops on a read-only root file system"),
    recommended("non-root-user", Plan::Under(Environment::NonRootUser), environment::works,
        "PID 1 reaps and stops as a non-root user"),
    recommended("without-terminal", Plan::Under(Environment::NoTerminal), environment::works,
        "PID 1 reaps and stops in a session without a terminal"),
    recommended("with-terminal", Plan::Under(Environment::Terminal), environment::works,
        "PID 1 reaps and stops in a session with a terminal"),
    recommended("no-pids-left", Plan::Under(Environment::PidsMax), environment::works,
        "PID 1 reaps and stops when its cgroup has no free pid"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_three_checks_are_required() {
        let ids: BTreeSet<_> = ALL.iter().map(|check| check.id).collect();
        assert_eq!(ids.len(), ALL.len());
        let required: Vec<_> = ALL.iter().filter(|check| check.required).map(|check| check.id).collect();
        assert_eq!(required, ["reaps-orphans", "ends-within-grace", "children-get-term"]);
    }

    #[test]
    fn whether_it_stops_at_all_is_known_before_it_is_tried_elsewhere() {
        let at = |plan: fn(&Plan) -> bool| ALL.iter().position(|check| plan(&check.plan)).unwrap();
        let stop = at(|plan| matches!(plan, Plan::Stop));
        assert!(stop < at(|plan| matches!(plan, Plan::InheritedStop(_))));
        assert!(stop < at(|plan| matches!(plan, Plan::Under(_))));
    }
}
