//! Containers by the names that people know them by.

use std::process::Command;

use serde_json::Value;
use zombie_trace_tests::runtime::{Container, Runtime};
use zombie_trace_tests::{TestResult, Tracer, binaries, process, require};

use super::zombies::ORPHAN;
use super::{SLEEP, soon, tracer};

pub(crate) fn the_containers_name_filters<R: Runtime>() -> TestResult {
    require::tracing()?;
    let runtime = R::shared()?;
    let meant = Container::start(&runtime, "meant", SLEEP, false);
    let other = Container::start(&runtime, "other", SLEEP, false);
    for selector in selectors(&meant) {
        let whole = tracer();
        let filtered = Tracer::live(["--min-age", "200ms", "--container", &selector]).start();
        // The other's zombie is the older one: when the one that is meant is reported, the other has had its turn.
        assert_eq!(other.exec(ORPHAN), 0);
        whole.expect("the other's zombie", soon(), |event| {
            event.is("zombie") && event.pid_of("parent") == Some(other.pid)
        });
        assert_eq!(meant.exec(ORPHAN), 0);
        let zombie = filtered.expect("the zombie that is meant", soon(), |event| event.is("zombie"));
        assert_eq!(zombie.pid_of("parent"), Some(meant.pid), "--container {selector}: {zombie}");
        let finished = filtered.stop();
        finished.never("what is in another container", |event| event.names(other.pid));
        assert!(finished.accusation(meant.pid).is_some() && finished.accusation(other.pid).is_none(), "{selector}");
    }
    Ok(())
}

/// What a person may write: the id, the beginning of one that was made up by the runtime, the name, the pod.
fn selectors(container: &Container) -> Vec<String> {
    let text = |key: &str| container.identity[key].as_str().map(ToOwned::to_owned);
    let start = (container.id.len() == 64).then(|| container.id[..12].to_owned());
    let pod = text("namespace").zip(text("pod")).map(|(namespace, pod)| format!("{namespace}/{pod}"));
    [Some(container.id.clone()), start, text("name"), pod].into_iter().flatten().collect()
}

pub(crate) fn scan_names_the_container<R: Runtime>() -> TestResult {
    require::root()?;
    let runtime = R::shared()?;
    let container = Container::start(&runtime, "scanned", SLEEP, false);
    assert_eq!(container.exec(ORPHAN), 0);
    let mut report = Value::Null;
    let found = process::eventually(soon(), || {
        let mut scan = Command::new(binaries::zombie_trace());
        let output = scan.args(["scan", "--format", "json"]).output().expect("the tool can be started");
        report = serde_json::from_slice(&output.stdout).expect("the tool prints JSON");
        entries(&report, "zombies").any(|zombie| zombie["parent"]["pid"] == container.pid)
    });
    assert!(found, "the zombie is shown: {report}");
    let zombie = entries(&report, "zombies").find(|zombie| zombie["parent"]["pid"] == container.pid);
    let zombie = zombie.expect("it was there just now");
    assert_eq!(zombie["process"]["container"], container.identity, "{zombie}");
    assert_eq!(zombie["parent"]["container"], container.identity, "{zombie}");
    let init = entries(&report, "inits").find(|init| init["process"]["pid"] == container.pid);
    let init = init.unwrap_or_else(|| panic!("PID 1 is shown: {report}"));
    assert_eq!(init["process"]["container"], container.identity, "{init}");
    Ok(())
}

fn entries<'a>(report: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    report[list].as_array().unwrap_or_else(|| panic!("there is a list of {list}: {report}")).iter()
}
