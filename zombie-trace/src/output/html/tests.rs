//! The page's frame, what it carries, and its bounds. How it looks and behaves is tested in a browser.

use super::{
    zombies::{MAX_MARKS, MarkKind, Zombies},
    *,
};
use crate::{
    container::{Container, Runtime},
    diagnosis::Cause,
    model::{DropReason, Latency, Precision, Relation, Via},
    policy::sample::{at, ended, process, report, with_drop, with_zombies},
    report::{ExitRecord, ProcessRecord, Severity, WaiterRecord, Window, ZombieRecord},
};

const START: &str = "2026-01-02T03:04:05.000000000Z";
const END: &str = "2026-01-02T03:04:15.000000000Z";

fn contained(process: ProcessRecord) -> ProcessRecord {
    let container = Container {
        runtime: Runtime::Docker,
        id: "a".repeat(64),
        name: None,
        pod: None,
        namespace: None,
        pod_uid: None,
        image: None,
        compose: None,
        inner: None,
    };
    ProcessRecord { container: Some(container), ..process }
}

fn parent() -> ProcessRecord {
    contained(process(1200, 9, "</script>"))
}

fn zombie(pid: u32) -> ZombieRecord {
    ZombieRecord {
        time: at(START),
        process: contained(process(pid, 10, "child")),
        exit: Some(ExitRecord::Code { code: 3 }),
        since: at(START),
        age_ns: 10_000_000_000,
        parent: Some(parent()),
        cause: Cause::NeverWaits,
        evidence: vec!["no wait call".to_owned()],
        advice: "Wait.".to_owned(),
        preexisting: false,
        doing: Vec::new(),
        waiters: Vec::new(),
    }
}

fn reaped(pid: u32, zombie_ns: u64) -> Notice {
    Notice::Reaped {
        waiters: Vec::new(),
        time: at(END),
        process: contained(process(pid, 10, "child")),
        exit: Some(ExitRecord::Signal { signal: "SIGSEGV".to_owned(), core_dumped: true }),
        zombie_ns,
        precision: Precision::Exact,
        parent: Some(parent()),
        reaper: Some(process(1, 1, "init")),
        via: Via::Wait4,
        preexisting: false,
    }
}

fn dropped() -> Notice {
    Notice::SignalDropped {
        time: at(START),
        signal: "SIGTERM".to_owned(),
        number: 15,
        target: process(1500, 12, "web"),
        reason: DropReason::NoHandler,
        sender: Some(process(1600, 13, "kill")),
        relation: Relation::Outside,
    }
}

fn sample() -> Report {
    let window = Window { start: at(START), end: at(END) };
    let report = with_zombies(Report { window, ..report() }, parent(), "never-waits", 2);
    let report = with_drop(report, process(1500, 12, "web"), DropReason::NoHandler, Severity::Error);
    Report { zombies: vec![zombie(1301)], ended: vec![ended(process(1500, 12, "web"))], ..report }
}

fn page(reports: usize) -> String {
    let mut out = Vec::new();
    let mut html = Html::new(&mut out, 1_000_000_000);
    let mut distribution = Latency::default();
    distribution.record(1_500);
    distribution.record(2_000_000_000);
    let report = Report { distribution, ..sample() };
    for _ in 0..reports {
        let notices = [
            Notice::Zombie(zombie(1300)),
            dropped(),
            Notice::Loss { time: at(START), events: 7 },
            reaped(1300, 2_345_678_901),
        ];
        notices.iter().for_each(|notice| html.notice(notice).expect("memory takes everything"));
        html.report(&report).expect("memory takes everything");
    }
    html.finish().expect("memory takes everything");
    String::from_utf8(out).expect("a page is UTF-8")
}

fn data(page: &str) -> serde_json::Value {
    let (_, from) = page.split_once("id=\"data\">").expect("the page carries data");
    let (data, _) = from.split_once("</script>").expect("the data end");
    serde_json::from_str(data).expect("the data are JSON")
}

#[test]
fn what_the_page_carries() {
    let mut data = data(&page(1));
    data["version"] = "of the program".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&data).expect("it was JSON"));
}

#[test]
fn every_report_is_on_the_page_and_none_makes_none() {
    assert_eq!(data(&page(3))["reports"].as_array().map(Vec::len), Some(3));
    assert_eq!(page(0), "");
}

#[test]
fn nothing_but_the_named_code_may_run_and_nothing_is_loaded() {
    let page = page(1);
    for (tag, directive) in [("script", "script-src "), ("style", "style-src ")] {
        let (_, from) = page.split_once(directive).expect("there is a policy");
        let (named, _) = from.split_once(';').expect("the policy has more");
        let open = format!("<{tag}>");
        let elements = page.split(open.as_str()).skip(1);
        let elements: Vec<&str> =
            elements.filter_map(|it| it.split_once(&format!("</{tag}>"))).map(|(element, _)| element).collect();
        assert_eq!(elements.len(), 2, "the library's and the page's own");
        for element in elements {
            let digest = STANDARD.encode(Sha256::digest(element));
            assert!(named.contains(&format!("'sha256-{digest}'")), "{digest} is not in {named}");
        }
    }
    assert!(page.contains("default-src 'none'") && !page.contains("unsafe-"));
    let markup = BODY.to_lowercase();
    for loads in [" src=", "href=\"http", "<link", "<iframe", "<img", "url("] {
        assert!(!markup.contains(loads), "the body has {loads}");
        assert!(loads != "url(" || !STYLE.contains(loads), "the style has {loads}");
    }
}

#[test]
fn the_pages_own_code_inserts_text_as_text() {
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
        assert!(!SCRIPT.contains(way), "{way}");
    }
    assert!(!SCRIPT.contains("</script") && !SCRIPT.contains("<!--"));
}

#[test]
fn beyond_the_bound_the_longest_stay_and_the_others_are_counted() {
    let mut zombies = Zombies::new(10);
    for number in 0..500 {
        zombies.take(&reaped(2_000 + number, u64::from(number * 7_919 % 500)));
    }
    let (kept, left_out) = zombies.into_sorted();
    let mut lengths: Vec<u64> = kept.iter().map(|it| it.length_ns).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, (490..500).collect::<Vec<u64>>());
    assert_eq!(left_out, 490);
}

#[test]
fn marks_beyond_the_bound_are_counted() {
    let mut zombies = Zombies::new(10);
    for _ in 0..MAX_MARKS + 3 {
        zombies.take(&dropped());
    }
    assert_eq!((zombies.marks.len(), zombies.marks_left_out), (MAX_MARKS, 3));
    assert!(zombies.marks.iter().all(|mark| mark.kind == MarkKind::SignalDropped));
}

#[test]
fn a_zombie_keeps_its_parent_and_cause_when_the_parent_is_gone() {
    let mut zombies = Zombies::new(10);
    zombies.take(&Notice::Zombie(zombie(1300)));
    let mut reaped = reaped(1300, 5);
    let Notice::Reaped { parent, .. } = &mut reaped else { panic!("it was made so") };
    *parent = None;
    zombies.take(&reaped);
    let (kept, _) = zombies.into_sorted();
    assert_eq!(kept[0].cause, "never-waits");
    assert_eq!(kept[0].row.process.as_ref().map(|it| it.pid), Some(1200));
}

#[test]
fn a_zombie_that_was_passed_on_has_a_bar_for_each_who_had_it() {
    let waiter = |pid, since: &str, until: Option<&str>, cause| WaiterRecord {
        process: Some(process(pid, 9, "app")),
        since: at(since),
        until: until.map(at),
        cause,
    };
    const PASSED: &str = "2026-01-02T03:04:14.000000000Z";
    let mut reaped = reaped(1300, 10_000_000_000);
    let Notice::Reaped { waiters, .. } = &mut reaped else { panic!("it was made so") };
    *waiters = vec![waiter(1100, START, Some(PASSED), Some(Cause::NeverWaits)), waiter(1200, PASSED, None, None)];
    let mut zombies = Zombies::new(10);
    zombies.take(&reaped);
    let (bars, _) = zombies.into_sorted();
    let told: Vec<_> = bars.iter().map(|bar| (bar.cause, bar.precision, bar.length_ns)).collect();
    assert_eq!(told, [("never-waits", "passed-on", 9_000_000_000), ("", "exact", 1_000_000_000)]);
    assert_eq!(bars[0].row.process.as_ref().map(|it| it.pid), Some(1100));
    assert_eq!((&*bars[0].reaper, bars[1].row.process.as_ref().map(|it| it.pid)), ("app (1200)", Some(1200)));
}
