//! Every format, of one verdict, and read by parsers that are not ours.

use jiff::civil::date;

use super::{Annotations, Junit, Outcome, Places, Sarif, Summary};
use crate::{
    container::{Container, Runtime},
    model::{DropReason, StopOutcome},
    output::{
        Palette, Reporter,
        document::{Json, Plain},
    },
    policy::{
        Baseline, Input, Policy, Rule, Verdict, judge,
        sample::{BEGAN, process, report, with_drop, with_zombies},
    },
    report::{ContainerRecord, ContainerStop, ExitRecord, How, Report, Severity},
};

const POLICY: &str = "[[allow]]\nfinding = \"zombies/*/old\"\nreason = \"known | ticket\"\nexpires = 2026-01-31\n\
    [[allow]]\nfinding = \"zombies/*/let-pass\"\nreason = \"soon\"\nexpires = 2030-01-31";

fn rich() -> Report {
    let mut report = with_zombies(report(), process(7, 2_000, "<app> & \"co\"]]>"), "never-waits", 3);
    report = with_zombies(report, process(8, 2_000, "old"), "never-waits", 1);
    report = with_zombies(report, process(9, 2_000, "let-pass"), "lazy-reaper", 2);
    report = with_drop(report, process(10, 2_000, "::error::x"), DropReason::NoHandler, Severity::Error);
    report.command.as_mut().unwrap().exit = Some(ExitRecord::Code { code: 2 });
    report
}

fn rendered(report: &Report, unseen: &[Rule], render: impl Fn(&Outcome<'_>, &mut Vec<u8>)) -> String {
    let policy = Policy::parse(POLICY).unwrap();
    let input = Input { report, began_ns: BEGAN, policy: &policy, baseline: None, unseen, today: date(2026, 6, 1) };
    let verdict = judge(&input);
    shown(&verdict, Some(report), &policy, render)
}

fn shown(
    verdict: &Verdict,
    report: Option<&Report>,
    policy: &Policy,
    render: impl Fn(&Outcome<'_>, &mut Vec<u8>),
) -> String {
    let mut out = Vec::new();
    let places = Places { processes: [((7, 2_000), "tests/a b/leak#1.py".to_owned())].into(), ..Places::default() };
    render(&Outcome { verdict, report, policy, command: "make <test>", source: "bpf", places: &places }, &mut out);
    String::from_utf8(out).unwrap()
}

fn unmeasured(render: impl Fn(&Outcome<'_>, &mut Vec<u8>)) -> String {
    let verdict = Verdict { unmeasured: Some("no privilege".to_owned()), ..Verdict::default() };
    shown(&verdict, None, &Policy::default(), render)
}

fn many() -> Report {
    (0..25).fold(report(), |report, index| {
        with_zombies(report, process(100 + index, 2_000, &format!("app{index}")), "never-waits", 1)
    })
}

#[test]
fn for_people() {
    insta::assert_snapshot!(rendered(&rich(), &[], |outcome, out| Plain::new(out, Palette::default())
        .report(outcome)
        .unwrap()));
}

#[test]
fn no_line_begins_with_what_a_process_chose() {
    let log = rendered(&rich(), &[], |outcome, out| Plain::new(out, Palette::default()).report(outcome).unwrap());
    assert!(!log.lines().any(|line| line.trim_start().starts_with("::")), "{log}");
}

#[test]
fn for_programs() {
    let line = rendered(&rich(), &[], |outcome, out| Json(out).report(outcome).unwrap());
    assert_eq!(line.matches('\n').count(), 1);
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["verdict"], "fail");
    insta::assert_snapshot!(serde_json::to_string_pretty(&value["violations"]).unwrap());
    let nothing: serde_json::Value =
        serde_json::from_str(&unmeasured(|outcome, out| Json(out).report(outcome).unwrap())).unwrap();
    assert_eq!((&nothing["verdict"], &nothing["report"]), (&"unmeasured".into(), &serde_json::Value::Null));
}

/// A container with a finding, and a stop that failed.
fn with_container() -> Report {
    let web = Container {
        name: Some("shop-web-1".to_owned()),
        image: Some("shop/web:7".to_owned()),
        ..Container::new(Runtime::Docker, "c".repeat(64))
    };
    let mut process = process(7, 2_000, "app]]>");
    process.container = Some(web.clone());
    let mut report = with_zombies(report(), process.clone(), "never-waits", 3);
    report.containers = vec![ContainerRecord {
        container: Some(web),
        followed: How::Named,
        process: Some(process),
        exit: Some(ExitRecord::Signal { signal: "SIGKILL".to_owned(), core_dumped: false }),
        exit_code: Some(137),
        exits: None,
        findings: vec!["zombies/never-waits/app]]>".to_owned()],
        stops: vec![ContainerStop { signal: "SIGTERM".to_owned(), outcome: StopOutcome::Failed, cause: None }],
        pid_ns: None,
    }];
    report
}

#[test]
fn a_container_is_named_in_every_file() {
    let xml = rendered(&with_container(), &[], |outcome, out| Junit(out).report(outcome).unwrap());
    let read = junit_parser::from_reader(xml.as_bytes()).unwrap();
    let section = read.suites[0].system_out.as_deref().unwrap_or_default();
    for line in ["docker shop-web-1", "shop/web:7", "stop        failed by SIGTERM", "shows as 137"] {
        assert!(section.contains(line), "{line}: {xml}");
    }
    assert!(xml.contains("finding     zombies/never-waits/app]]&gt;"), "{xml}");
    assert!(xml.contains("container: docker shop-web-1"), "{xml}");
    let sarif = rendered(&with_container(), &[], |outcome, out| Sarif(out).report(outcome).unwrap());
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["properties"]["containers"][0]["exit_code"], 137, "{sarif:#}");
    let place = &run["results"][0]["locations"][0]["logicalLocations"][1];
    assert_eq!((&place["kind"], &place["name"]), (&"container".into(), &"docker shop-web-1".into()), "{sarif:#}");
    // Without one there is no section.
    let xml = rendered(&rich(), &[], |outcome, out| Junit(out).report(outcome).unwrap());
    assert!(!xml.contains("system-out"), "{xml}");
}

#[test]
fn junit_is_read_by_another_parser() {
    let xml = rendered(&rich(), &[Rule::ForkFailure], |outcome, out| Junit(out).report(outcome).unwrap());
    let read = junit_parser::from_reader(xml.as_bytes()).unwrap();
    let suite = &read.suites[0];
    assert_eq!((suite.failures, suite.skipped, suite.errors), (4, 2, 0), "{xml}");
    let failure = suite.cases.iter().find(|case| case.name.contains("<app>")).unwrap();
    assert!(failure.name.ends_with("zombie-age: zombies/never-waits/<app> & \"co\"]]>"), "{}", failure.name);
    insta::assert_snapshot!(xml);
    let xml = unmeasured(|outcome, out| Junit(out).report(outcome).unwrap());
    let read = junit_parser::from_reader(xml.as_bytes()).unwrap();
    assert_eq!((read.suites[0].tests, read.suites[0].errors), (1, 1), "{xml}");
}

#[test]
fn sarif_is_valid_by_the_standards_schema() {
    // The schema of the standard as serde-sarif 0.8.0 ships it.
    // Its pattern for languages has a bracket too many, which not every engine takes.
    let schema = include_str!("schema/sarif-schema-2.1.0.json").replace("{2}]?$", "{2}$");
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let of_container = rendered(&with_container(), &[], |outcome, out| Sarif(out).report(outcome).unwrap());
    assert!(validator.is_valid(&serde_json::from_str(&of_container).unwrap()), "{of_container}");
    let documents = [
        rendered(&rich(), &[], |outcome, out| Sarif(out).report(outcome).unwrap()),
        rendered(&report(), &[], |outcome, out| Sarif(out).report(outcome).unwrap()),
        unmeasured(|outcome, out| Sarif(out).report(outcome).unwrap()),
    ];
    for document in documents {
        let value: serde_json::Value = serde_json::from_str(&document).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{document}");
    }
    assert!(!validator.is_valid(&serde_json::json!({ "version": "2.1.0", "runs": [{}] })), "the schema says no");
}

/// What GitHub's code scanning asks for beyond the schema: a message, a place with a file and a line, a fingerprint.
#[test]
fn sarif_has_what_code_scanning_needs() {
    let document = rendered(&rich(), &[], |outcome, out| Sarif(out).report(outcome).unwrap());
    let value: serde_json::Value = serde_json::from_str(&document).unwrap();
    let results = value["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), 5, "{document}");
    for result in results {
        let place = &result["locations"][0]["physicalLocation"];
        assert!(place["artifactLocation"]["uri"].as_str().is_some_and(|uri| !uri.is_empty()), "{result:#}");
        assert_eq!(place["region"]["startLine"], 1, "{result:#}");
        assert!(result["message"]["text"].is_string() && result["partialFingerprints"].is_object(), "{result:#}");
        let rule = result["ruleIndex"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap();
        assert_eq!(value["runs"][0]["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    }
    let uris: Vec<_> =
        results.iter().map(|it| &it["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]).collect();
    assert!(uris.contains(&&"tests/a%20b/leak%231.py".into()), "{uris:?}");
    assert!(uris.contains(&&"process/%3A%3Aerror%3A%3Ax".into()), "{uris:?}");
}

#[test]
fn annotations_stay_below_the_cap() {
    let lines = rendered(&many(), &[], |outcome, out| Annotations(out).report(outcome).unwrap());
    let errors: Vec<&str> = lines.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 10, "{lines}");
    assert!(errors[9].contains("16 more") && errors[9].contains("%0A"), "{}", errors[9]);
}

#[test]
fn for_github() {
    insta::assert_snapshot!(rendered(&rich(), &[], |outcome, out| Annotations(out).report(outcome).unwrap()));
    insta::assert_snapshot!(rendered(&rich(), &[], |outcome, out| Summary(out).report(outcome).unwrap()));
}

/// What a Markdown parser makes of the summary: the table with all its rows, and nothing that a process's name made.
#[test]
fn the_summary_is_one_table_and_no_markup_of_others() {
    use pulldown_cmark::{Event, Options, Parser, Tag};

    let hostile = "[x](http://e)|<b>`*_~@me#1";
    let report = with_zombies(rich(), process(11, 2_000, hostile), "never-waits", 1);
    let markdown = rendered(&report, &[], |outcome, out| Summary(out).report(outcome).unwrap());
    let events: Vec<Event<'_>> =
        Parser::new_ext(&markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH).collect();
    let rows = events.iter().filter(|it| matches!(it, Event::Start(Tag::TableRow))).count();
    let cells = events.iter().filter(|it| matches!(it, Event::Start(Tag::TableCell))).count();
    // Four violations and the hostile one, two that are let pass or expired; the head is no row.
    assert_eq!((rows, cells), (6, 4 * 7), "{markdown}");
    let bad = |event: &&Event<'_>| match event {
        Event::Start(tag) => matches!(tag, Tag::Link { .. } | Tag::Image { .. } | Tag::CodeBlock(_) | Tag::HtmlBlock),
        Event::InlineHtml(html) => &**html != "<br>",
        Event::Html(_) | Event::Code(_) => true,
        _ => false,
    };
    assert_eq!(events.iter().filter(bad).collect::<Vec<_>>(), Vec::<&Event<'_>>::new(), "{markdown}");
    let text: String =
        events.iter().filter_map(|it| if let Event::Text(text) = it { Some(&**text) } else { None }).collect();
    assert!(text.contains(hostile), "the name is shown as it is: {text}");
}

#[test]
fn a_baseline_is_sorted_and_small() {
    let report = rich();
    let policy = Policy::default();
    let input = Input {
        report: &report,
        began_ns: BEGAN,
        policy: &policy,
        baseline: None,
        unseen: &[],
        today: date(2026, 6, 1),
    };
    insta::assert_snapshot!(Baseline::of(&judge(&input).violations).to_json());
}
