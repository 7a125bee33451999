//! Containers of real runtimes, started on this machine: what the tool says of those that do not reap, of those that do not
//! stop, and of those that do nothing wrong.
//!
//! Everything is asked of every runtime. What cannot be started here is skipped with its reason. When all is over, nothing
//! may be left: no process, no mount, no cgroup.

mod checking;
mod filters;
mod images;
mod limits;
mod stops;
mod zombies;

use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::runtime::{
    self, Commands, Cri, CriShared, Crun, Ctr, Docker, Launched, Limiting, Podman, Runc, Runtime, Sandbox,
};
use zombie_trace_tests::{Event, Tracer, clock, runner};

fn main() -> ExitCode {
    let sandbox = Sandbox::enter();
    let code = runner::main(vec![
        ("runc", [of_limiting::<Runc>(), of_client::<Runc>()].into_iter().flatten().collect()),
        ("crun", of_limiting::<Crun>()),
        ("podman", [of::<Podman>(), of_client::<Podman>(), images::of::<Podman>()].into_iter().flatten().collect()),
        ("docker", [of::<Docker>(), of_client::<Docker>(), images::of::<Docker>()].into_iter().flatten().collect()),
        ("ctr", [of::<Ctr>(), of_client::<Ctr>()].into_iter().flatten().collect()),
        ("side_by_side", checking::side_by_side()),
        ("cri", of::<Cri>()),
        ("cri_shared_pid", of_shared::<CriShared>()),
    ]);
    runtime::end_all();
    let leftovers = sandbox.leftovers();
    if leftovers.is_empty() {
        return code;
    }
    leftovers.iter().for_each(|it| eprintln!("error: left behind: {it}"));
    ExitCode::FAILURE
}

/// The tests of a runtime whose containers have a pid namespace each.
fn of<R: Runtime>() -> Vec<Test> {
    let mut tests = vec![
        Test::new("sleep_as_pid_1_is_killed_after_its_grace", stops::sleep_as_pid_1_is_killed_after_its_grace::<R>),
        Test::new("under_an_init_the_stop_is_clean", stops::under_an_init_the_stop_is_clean::<R>),
        Test::new("an_orphan_waits_for_the_application", zombies::an_orphan_waits_for_the_application::<R>),
        Test::new("the_containers_name_filters", filters::the_containers_name_filters::<R>),
        Test::new("scan_names_the_container", filters::scan_names_the_container::<R>),
    ];
    tests.extend(of_any::<R>());
    tests
}

/// The tests of a runtime with a client, whose containers `check` is to follow.
fn of_client<R: Commands>() -> Vec<Test> {
    vec![
        Test::new("check_fails_over_a_container_that_leaks", checking::check_fails_over_a_container_that_leaks::<R>),
        Test::new("check_passes_over_a_clean_container", checking::check_passes_over_a_clean_container::<R>),
        Test::new("check_fails_over_a_stop_that_is_dropped", checking::check_fails_over_a_stop_that_is_dropped::<R>),
        Test::new("check_follows_into_a_container", checking::check_follows_into_a_container::<R>),
    ]
}

/// The tests of a runtime that takes limits as it is told.
fn of_limiting<R: Limiting>() -> Vec<Test> {
    let mut tests = of::<R>();
    tests.push(Test::new(
        "a_pid_1_that_leaks_until_it_cannot_fork_is_named",
        limits::a_pid_1_that_leaks_until_it_cannot_fork_is_named::<R>,
    ));
    tests
}

/// The tests of a runtime whose containers share the pid namespace of their pod.
fn of_shared<R: Runtime>() -> Vec<Test> {
    let mut tests = vec![
        Test::new("sleep_ends_when_it_is_asked_to", stops::sleep_ends_when_it_is_asked_to::<R>),
        Test::new("an_orphan_is_reaped_by_the_pod", zombies::an_orphan_is_reaped_by_the_pod::<R>),
    ];
    tests.extend(of_any::<R>());
    tests
}

fn of_any<R: Runtime>() -> Vec<Test> {
    vec![
        Test::new("the_parent_of_an_exec_is_outside", zombies::the_parent_of_an_exec_is_outside::<R>),
        Test::new("a_panic_leaves_no_container", stops::a_panic_leaves_no_container::<R>),
    ]
}

/// The grace that the stops are given: short, and well above what a stop costs the runtime itself.
const GRACE: Duration = Duration::from_secs(3);

/// What the containers run. It takes no signal as PID 1, and waits for no child.
const SLEEP: &[&str] = &["sleep", "600"];

/// A tracer of the whole machine.
fn tracer() -> Tracer {
    Tracer::live(["--min-age", "200ms"]).start()
}

fn soon() -> Duration {
    clock::deadline()
}

/// Asserts that the process in this field of an event is said to be in this container.
fn assert_in(container: &Launched, field: &str, event: &Event) {
    assert_eq!(event.at(&format!("/{field}/container")), Some(&container.identity), "{event}");
}

/// The findings about processes of a container, or of its pod.
fn findings_in<'a>(
    container: &'a Launched,
    summary: &'a zombie_trace_tests::Finished,
) -> impl Iterator<Item = &'a Value> {
    summary.list("/findings").filter(|finding| {
        let of = |key: &str| finding.pointer(&format!("/process/container/{key}"));
        let own = |key: &str| container.identity.get(key);
        of("id") == own("id") || (own("pod_uid").is_some() && of("pod_uid") == own("pod_uid"))
    })
}
