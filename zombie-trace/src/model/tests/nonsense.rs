//! The model over pure nonsense: it may be wrong, but it does not panic, and its sums agree.

use proptest::prelude::*;

use super::simulator::INIT;
use super::story::{child_signal, exit, fork, ms, process, seed, signal, wait, zombie_seed};
use crate::diagnosis;
use crate::event::{Deliver, Event, Evidence, Exec, Exit, Fact, ProcessKey, Release, Signal, WaitActivity, What};
use crate::model::{Config, Model};

fn any_key() -> impl Strategy<Value = ProcessKey> {
    let start = prop_oneof![3 => 0u64..4, 1 => any::<u64>()];
    (prop_oneof![9 => 0u32..6, 1 => any::<u32>()], start).prop_map(|(pid, start_ns)| ProcessKey { pid, start_ns })
}

fn any_what() -> impl Strategy<Value = What> {
    (0u8..16, any_key(), any_key(), any_key(), any::<u32>(), any::<bool>()).prop_map(|(kind, a, b, c, number, flag)| {
        let tracer = flag.then_some(c.pid);
        match kind {
            0 => What::Exit(Exit {
                tracer,
                group_dead: number % 4 != 0,
                exit_signal: (number % 18).cast_signed(),
                ..exit(a, b)
            }),
            1 => What::ChildSignal(crate::event::ChildSignal {
                child_is_current: flag,
                nocldwait: number % 5 == 0,
                current: c,
                ..child_signal(a, b)
            }),
            2 => What::Wait(crate::event::Wait { options: flag.then_some(number), ..wait(a, b) }),
            3 => What::Free(a),
            4 => What::Fork(crate::event::Fork { parent_pid: c.pid, cgroup: u64::from(number % 3), ..fork(a, b) }),
            5 => What::Exec(Exec { process: a, old_thread: b.pid, uid: 0, cgroup: 0, comm: [0; 16], sigchld: None }),
            6 => What::Fact(Fact::Seed(Box::new(crate::event::Seed {
                process: a,
                tick_ns: u64::from(number % 3),
                tracer,
                threads: number % 3,
                ns_pids: vec![a.pid; c.pid as usize % 7],
                ..if flag { zombie_seed(a, b.pid) } else { seed(a, b.pid) }
            }))),
            7 => What::Fact(Fact::SeedDone { began: a.start_ns }),
            8 => What::Signal(Signal {
                target: a,
                sender: b,
                blocked: flag,
                outcome: if number % 2 == 0 {
                    crate::event::SignalOutcome::Delivered
                } else {
                    crate::event::SignalOutcome::AlreadyPending
                },
                ..signal(number % 70)
            }),
            9 => What::Deliver(Deliver { target: a, signal: number, code: 0, traced: flag }),
            10 => What::Fact(Fact::Evidence(Box::new(Evidence {
                process: a,
                observed_since: b.start_ns,
                waits: flag.then(WaitActivity::default),
                proc: flag.then(crate::event::ProcFacts::default),
                gaps: Vec::new(),
                doing: Vec::new(),
            }))),
            12 => {
                What::Release(Release { process: a, reaper: b, reaper_exiting: flag, reaper_is_init: number % 2 == 0 })
            }
            13 => What::FullPidNs(crate::event::FullPidNs {
                process: a,
                inum: number,
                level: number % 3,
                usage: crate::event::Usage { used: a.start_ns, allowed: b.start_ns },
            }),
            14 => What::MemoryLimit {
                process: a,
                limit: crate::event::MemoryLimit::Bytes { bytes: b.start_ns, levels_above: number },
            },
            11 => What::Loss { events: number.into() },
            _ => What::Tick,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_makes_it_panic(
        events in proptest::collection::vec((prop_oneof![3 => 0u64..5_000, 1 => any::<u64>()], any_what()), 0..200),
        max_processes in prop_oneof![Just(0usize), Just(3), Just(1 << 20)],
        min_age_ns in prop_oneof![Just(0), Just(1_000), any::<u64>()],
    ) {
        let mut model = Model::new(Config { min_age_ns, started: 100, max_processes, ends: true, command: None });
        for (time, what) in events {
            model.apply(&Event { time, what });
            while model.next_event().is_some() {}
            let totals = model.totals();
            prop_assert_eq!(totals.zombies, totals.reaped + totals.zombies_now);
            prop_assert!(model.table.len() <= 2 * max_processes.max(1));
        }
        for process in model.processes() {
            let _ = diagnosis::judge(&model, process);
        }
    }
}

#[test]
fn the_queue_of_ages_is_in_proportion_to_the_zombies() {
    let mut model = Model::new(Config { min_age_ns: u64::MAX, ..Config::default() });
    for number in 0..100_000 {
        let child = process(100 + number);
        for what in [What::Exit(exit(child, INIT)), What::ChildSignal(child_signal(child, INIT)), What::Free(child)] {
            model.apply(&Event { time: ms(u64::from(number)), what });
        }
    }
    assert!(model.ageing.len() < 5_000, "{}", model.ageing.len());
}
