//! Which signals PID 1 of a pid namespace drops, and why.

use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Actor, Event, Line, Namespace, TestResult, Tracer, clock, require, tests};

use super::{soon, tracer};

pub(crate) fn all() -> Vec<Test> {
    tests![
        signals_from_inside_to_a_pid_1_without_handlers_are_dropped,
        signals_from_outside_to_a_pid_1_without_handlers_are_dropped,
        kill_and_stop_from_inside_are_dropped,
        kill_from_outside_is_no_drop,
        an_ignored_signal_is_ignored,
        a_blocked_signal_is_blocked,
        a_second_blocked_signal_is_coalesced,
        a_signal_unblocked_at_its_default_is_dropped_at_delivery,
        signals_that_come_while_the_handler_runs_are_no_drops,
        a_signal_that_stays_blocked_until_a_kill_is_the_reason_of_the_failed_stop,
        who_claims_to_be_the_kernel_is_a_sender_all_the_same,
        a_window_change_and_a_kill_are_no_failed_stop,
        a_handled_signal_is_no_drop,
        signals_that_are_ignored_by_default_are_no_drops,
        a_signal_to_a_process_other_than_pid_1_is_no_drop,
        a_stop_that_pid_1_drops_and_a_kill_ends_is_a_failed_stop,
        a_signal_with_a_made_up_origin_has_its_sender,
    ]
}

/// PID 1 of a fresh namespace under a tracer of the machine.
struct Init {
    tracer: Tracer,
    actor: Actor,
    pid: i32,
    /// The inode of its namespace, which was made after `began` on the boot clock.
    pid_ns: u64,
    began: u64,
    inner: i32,
}

impl Init {
    /// With these dispositions, as in `TERM=ignore`.
    fn with(dispositions: &[&str]) -> Self {
        let tracer = tracer();
        let began = clock::boot_now();
        let mut actor = Actor::spawn(
            ["init-signals"].into_iter().chain(dispositions.iter().flat_map(|&disposition| ["--set", disposition])),
        );
        let init = actor.line("init");
        let inner = actor.line("inner").pid();
        actor.line("ready");
        Self { tracer, actor, pid: init.pid(), pid_ns: init.number("pid_ns"), began, inner }
    }

    /// Its namespace up to now.
    fn namespace(&self) -> Namespace {
        Namespace::until_now(self.pid_ns, self.began)
    }

    /// Has a signal sent, as in `inside TERM`; returns the sender's own account.
    fn order(&mut self, order: &str) -> Line {
        self.actor.order(order);
        self.actor.line("sent")
    }

    fn drops(&self, signal: i32) -> impl Fn(&Event) -> bool + use<> {
        let init = self.pid;
        move |event| {
            event.is("signal_dropped")
                && event.pid_of("target") == Some(init)
                && event.number("/number") == Some(i64::from(signal))
        }
    }

    /// Has a signal sent and expects it to be reported as dropped for this reason, with its sender.
    fn drops_for(&mut self, order: &str, reason: &str) {
        let sent = self.order(order);
        self.reports(&sent, order, reason);
    }

    fn reports(&self, sent: &Line, order: &str, reason: &str) {
        let relation = order.split(' ').next();
        let sender = sent.small("sender");
        let drops = self.drops(sent.small("signal"));
        let event = self.tracer.expect(&format!("the drop of {order:?}"), soon(), |event| {
            drops(event) && event.pid_of("sender") == Some(sender) && event.reason() == Some(reason)
        });
        assert_eq!(event.text("/relation"), relation, "{event}");
        assert_eq!(event.number("/target/ns_pid"), Some(1), "{event}");
        assert!(self.namespace().has_the("target", &event), "{event}");
        assert!(event.text("/signal").is_some_and(|name| !name.is_empty()), "{event}");
    }

    /// Stops the tracer when it has reported whatever there is to report of the signals so far: one that is certainly
    /// dropped is sent after them.
    fn finish(mut self) -> zombie_trace_tests::Finished {
        self.drops_for("inside USR2", "no-handler");
        self.tracer.stop()
    }
}

fn signals_from_inside_to_a_pid_1_without_handlers_are_dropped() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    for signal in ["TERM", "INT", "USR1", "34"] {
        init.drops_for(&format!("inside {signal}"), "no-handler");
    }
    Ok(())
}

fn signals_from_outside_to_a_pid_1_without_handlers_are_dropped() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    for signal in ["TERM", "INT", "USR1", "34"] {
        init.drops_for(&format!("outside {signal}"), "no-handler");
    }
    let namespace = init.namespace();
    let finished = init.finish();
    let drop = finished
        .dropped_in(&namespace)
        .find(|drop| drop["signal"].as_str().is_some_and(|signal| signal.ends_with("TERM")))
        .expect("the summary has the dropped SIGTERM");
    assert_eq!((&drop["reason"], &drop["count"]), (&"no-handler".into(), &1.into()), "{drop}");
    Ok(())
}

fn kill_and_stop_from_inside_are_dropped() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    init.drops_for("inside KILL", "protected-from-inside");
    init.drops_for("inside STOP", "protected-from-inside");
    Ok(())
}

fn kill_from_outside_is_no_drop() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    init.order("outside KILL");
    assert_eq!(init.actor.line("ended").small("signal"), 9);
    let drops = init.drops(9);
    let namespace = init.namespace();
    init.tracer.fence();
    let finished = init.tracer.stop();
    finished.never("a SIGKILL that killed", drops);
    // The kernel kills the rest of the namespace with it, which is no drop either.
    finished.never("the end of a namespace", |event| event.is("signal_dropped") && namespace.has_the("target", event));
    Ok(())
}

fn an_ignored_signal_is_ignored() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=ignore"]);
    init.drops_for("inside TERM", "ignored");
    init.drops_for("outside TERM", "ignored");
    Ok(())
}

fn a_blocked_signal_is_blocked() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=block", "INT=block"]);
    init.drops_for("inside TERM", "blocked");
    init.drops_for("outside INT", "blocked");
    Ok(())
}

fn a_second_blocked_signal_is_coalesced() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=block"]);
    init.drops_for("inside TERM", "blocked");
    init.drops_for("outside TERM", "coalesced");
    Ok(())
}

fn a_signal_unblocked_at_its_default_is_dropped_at_delivery() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=block"]);
    let sent = init.order("outside TERM");
    init.actor.order("unblock TERM");
    init.actor.line("unblocked");
    init.reports(&sent, "outside TERM", "dropped-at-delivery");
    Ok(())
}

fn signals_that_come_while_the_handler_runs_are_no_drops() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=slow-handler"]);
    let sent = init.order("outside TERM");
    init.order("outside TERM");
    init.order("inside TERM");
    assert_eq!(init.actor.line("handled").small("signal"), sent.small("signal"));
    let drops = init.drops(15);
    let pid = init.pid;
    let finished = init.finish();
    finished.never("a signal whose handler runs", |event| drops(event));
    assert!(finished.finding("signals/blocked/", pid).is_none(), "{}", finished.summary);
    assert!(finished.finding("signals/coalesced/", pid).is_none(), "{}", finished.summary);
    Ok(())
}

/// The failed stop of this PID 1, when the tracer has told of it.
fn failed_stop(init: &Init) -> Event {
    let pid = init.pid;
    let is_it = move |event: &Event| event.is("stop_failed") && event.pid_of("target") == Some(pid);
    init.tracer.expect("the failed stop", soon(), is_it)
}

fn a_signal_that_stays_blocked_until_a_kill_is_the_reason_of_the_failed_stop() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=block"]);
    init.order("outside TERM");
    // Long enough to be looked at some times, and too short to be told of.
    std::thread::sleep(std::time::Duration::from_secs(3));
    init.order("outside KILL");
    assert_eq!(init.actor.line("ended").small("signal"), 9);
    let stop = failed_stop(&init);
    assert_eq!((stop.reason(), stop.at("/received")), (Some("blocked"), Some(&false.into())), "{stop}");
    Ok(())
}

fn who_claims_to_be_the_kernel_is_a_sender_all_the_same() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    let sent = init.order("forge TERM");
    let (drops, sender) = (init.drops(15), sent.small("sender"));
    let told = init.tracer.expect("the drop", soon(), |event| drops(event));
    assert_eq!((told.pid_of("sender"), told.text("/relation")), (Some(sender), Some("outside")), "{told}");
    init.order("forge KILL");
    assert_eq!(init.actor.line("ended").small("signal"), 9);
    assert_eq!(failed_stop(&init).pid_of("killed_by"), Some(sender));
    Ok(())
}

fn a_window_change_and_a_kill_are_no_failed_stop() -> TestResult {
    require::tracing()?;
    for dispositions in [&[][..], &["WINCH=ignore", "CONT=ignore"]] {
        let mut init = Init::with(dispositions);
        init.order("outside WINCH");
        init.order("outside CONT");
        init.drops_for("inside USR2", "no-handler");
        init.order("outside KILL");
        assert_eq!(init.actor.line("ended").small("signal"), 9);
        init.tracer.fence();
        let (pid, finished) = (init.pid, init.tracer.stop());
        finished.never("what says nothing", |event| {
            event.pid_of("target") == Some(pid)
                && (event.is("stop_failed") || event.is("signal_dropped") && event.text("/signal") != Some("SIGUSR2"))
        });
    }
    Ok(())
}

fn a_handled_signal_is_no_drop() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&["TERM=handler", "34=handler"]);
    for order in ["inside TERM", "outside TERM", "inside 34"] {
        let sent = init.order(order);
        let handled = init.actor.line("handled");
        assert_eq!(handled.small("signal"), sent.small("signal"));
    }
    let drops = [init.drops(15), init.drops(34)];
    init.finish().never("a handled signal", |event| drops.iter().any(|drops| drops(event)));
    Ok(())
}

fn signals_that_are_ignored_by_default_are_no_drops() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    let mut harmless = Vec::new();
    for signal in ["CHLD", "WINCH", "URG", "CONT"] {
        for side in ["inside", "outside"] {
            let sent = init.order(&format!("{side} {signal}"));
            harmless.push(init.drops(sent.small("signal")));
        }
    }
    init.finish().never("a harmless signal", |event| harmless.iter().any(|drops| drops(event)));
    Ok(())
}

fn a_signal_to_a_process_other_than_pid_1_is_no_drop() -> TestResult {
    require::tracing()?;
    let init = Init::with(&[]);
    let inner = init.inner;
    let pid = nix::unistd::Pid::from_raw(inner);
    // Ignored, and harmless: the inner process has no handler for it.
    nix::sys::signal::kill(pid, nix::sys::signal::SIGWINCH).expect("the inner process lives");
    nix::sys::signal::kill(pid, nix::sys::signal::SIGURG).expect("the inner process lives");
    init.finish().never("a signal to a plain process", |event| {
        event.is("signal_dropped") && event.pid_of("target") == Some(inner)
    });
    Ok(())
}

fn a_stop_that_pid_1_drops_and_a_kill_ends_is_a_failed_stop() -> TestResult {
    require::tracing()?;
    let mut init = Init::with(&[]);
    init.drops_for("outside TERM", "no-handler");
    let term = init.actor.pid();
    let kill = init.order("outside KILL");
    assert_eq!(init.actor.line("ended").small("signal"), 9);
    let pid = init.pid;
    let stop = init
        .tracer
        .expect("the failed stop", soon(), |event| event.is("stop_failed") && event.pid_of("target") == Some(pid));
    assert_eq!(stop.pid_of("killed_by"), Some(kill.small("sender")), "{stop}");
    assert_eq!(kill.small("sender"), term, "the same process sent both");
    assert!(stop.number("/killed_after_ns").is_some_and(|after| after > 0), "{stop}");
    let inner = serde_json::Value::from(init.inner);
    let victims = stop.at("/killed_without_term").and_then(serde_json::Value::as_array).expect("a list");
    assert!(victims.iter().any(|victim| victim["pid"] == inner), "{stop}");
    Ok(())
}

fn a_signal_with_a_made_up_origin_has_its_sender() -> TestResult {
    require::tracing()?;
    let tracer = tracer();
    let mut actor = Actor::spawn(["forge"]);
    let init = actor.line("init").pid();
    actor.line("ready");
    let dropped = |number: i64| {
        move |event: &Event| {
            event.is("signal_dropped")
                && event.pid_of("target") == Some(init)
                && event.number("/number") == Some(number)
        }
    };
    // What a request to a USB device has, what resolving names has, and a code that nobody uses.
    for (signal, number, code) in [("TERM", 15, -4), ("HUP", 1, -60), ("USR1", 10, -9)] {
        actor.order(&format!("forge {signal} {code}"));
        let sender = actor.line("sent").small("sender");
        let event = tracer.expect("a signal with a made-up origin", soon(), dropped(number));
        assert_eq!(event.pid_of("sender"), Some(sender), "{event}");
        assert_eq!(event.text("/relation"), Some("outside"), "{event}");
    }
    // A timer's own signals are no process's.
    actor.order("timer INT");
    actor.line("sent");
    let event = tracer.expect("a timer's signal", soon(), dropped(2));
    assert_eq!((event.pid_of("sender"), event.text("/relation")), (None, Some("kernel")), "{event}");
    Ok(())
}
