use std::collections::BTreeMap;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};

use super::*;
use crate::{
    diagnosis::{Cause, EndWay, StopCause},
    init_check,
    model::{DropReason, LimitKind, StopOutcome},
    policy::Rule,
};

/// Every id that the tool prints and that is to be explained.
fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = Cause::ALL.iter().map(|it| it.id()).collect();
    ids.extend(StopCause::ALL.iter().map(|it| it.id()));
    ids.extend(DropReason::ALL.iter().map(|it| it.id()));
    ids.extend(LimitKind::ALL.iter().map(|it| it.id()));
    ids.extend(EndWay::ALL.iter().map(|it| it.id()));
    ids.extend(Rule::ALL.iter().map(|it| it.id()));
    ids.extend(init_check::ALL.iter().map(|check| check.id));
    // A stop that ended well is no finding.
    ids.extend([StopOutcome::Failed, StopOutcome::Slow].iter().map(|it| it.id()));
    ids.extend(["unasked", "held"]);
    ids.sort_unstable();
    ids.dedup();
    ids
}

#[test]
fn each_id_has_one_section_and_each_section_an_id() {
    let mut explained: Vec<&str> = sections().map(|section| section.id).collect();
    explained.sort_unstable();
    assert_eq!(explained, ids());
}

#[test]
fn each_section_says_what_it_means_how_it_is_known_what_is_not_wrong_and_what_to_do() {
    for section in sections() {
        let blocks = section.blocks();
        let parts: Vec<&str> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::Heading(3, title) => Some(*title),
                _ => None,
            })
            .collect();
        assert_eq!(parts, ["How it is known", "What is not wrong", "Fix"], "{}", section.id);
        assert!(matches!(blocks.first(), Some(Block::Paragraph(_))), "{} begins with what it means", section.id);
        let empty = blocks.windows(2).find(|pair| {
            matches!(pair, [Block::Heading(3, title), Block::Heading(..)] if *title != "Fix")
                || matches!(pair, [Block::Heading(4, _), Block::Heading(..)])
        });
        assert_eq!(empty, None, "{}", section.id);
        assert!(!matches!(blocks.last(), Some(Block::Heading(..))), "{} ends with a heading", section.id);
        assert!(section.summary().ends_with('.') || section.summary().ends_with(')'), "{}", section.summary());
    }
}

#[test]
fn each_cause_of_a_zombie_has_a_fix_for_every_language_and_for_containers() {
    for cause in Cause::ALL.iter().filter(|cause| **cause != Cause::Unknown) {
        let section = find(cause.id()).unwrap();
        let titles: String = section
            .blocks()
            .iter()
            .filter_map(|block| match block {
                Block::Heading(4, title) => Some(format!("{title}, ")),
                _ => None,
            })
            .collect();
        for place in ["C", "Go", "Python", "Node", "Java", "Docker", "Kubernetes"] {
            assert!(titles.split(", ").any(|it| it == place), "{} says nothing of {place}: {titles}", cause.id());
        }
    }
}

/// What another section is named by leads somewhere. Other words with hyphens are programs, options and keys of policies.
#[test]
fn sections_refer_to_ids_that_exist() {
    const OTHERS: [&str; 3] = ["zombie-trace", "dumb-init", "command-failure"];
    const KEYS: [&str; 4] = ["-", "max-", "allowed-", "denied-"];
    let ids = ids();
    for section in sections() {
        for block in section.blocks() {
            let (Block::Paragraph(text) | Block::Item(text)) = block else { continue };
            for word in text.split('`').skip(1).step_by(2) {
                let is_like_an_id = word.contains('-') && word.bytes().all(|it| it.is_ascii_lowercase() || it == b'-');
                let is_other = OTHERS.contains(&word) || KEYS.iter().any(|key| word.starts_with(key));
                assert!(!is_like_an_id || is_other || ids.contains(&word), "{}: `{word}`", section.id);
            }
        }
    }
}

/// The little of Markdown that is read here, as a whole parser reads it.
#[test]
fn the_pages_are_read_as_markdown_is() {
    for section in sections() {
        let mut read = Vec::new();
        let (mut text, mut start) = (String::new(), None);
        for event in Parser::new(section.text) {
            match event {
                Event::Start(tag @ (Tag::Heading { .. } | Tag::CodeBlock(_) | Tag::Item)) => {
                    text.clear();
                    start = Some(tag);
                }
                Event::Start(Tag::Paragraph) if !matches!(start, Some(Tag::Item)) => text.clear(),
                Event::Text(part) => text.push_str(&part),
                Event::Code(part) => text.push_str(&format!("`{part}`")),
                Event::SoftBreak => text.push(' '),
                Event::End(TagEnd::Heading(level)) => {
                    let level = if level == HeadingLevel::H3 { 3 } else { 4 };
                    read.push((format!("heading {level}"), text.clone()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    let Some(Tag::CodeBlock(CodeBlockKind::Fenced(language))) = start.take() else {
                        panic!("{}: code without a fence", section.id)
                    };
                    read.push((format!("code {language}"), text.clone()));
                }
                Event::End(TagEnd::Item) => {
                    start = None;
                    read.push(("item".to_owned(), text.clone()));
                }
                Event::End(TagEnd::Paragraph) => read.push(("paragraph".to_owned(), text.clone())),
                Event::Start(Tag::Paragraph | Tag::List(_)) | Event::End(TagEnd::List(_)) => {}
                other => panic!("{}: {other:?} is not read by `blocks`", section.id),
            }
        }
        let own: Vec<(String, String)> = section
            .blocks()
            .into_iter()
            .map(|block| match block {
                Block::Heading(level, text) => (format!("heading {level}"), text.to_owned()),
                Block::Code(language, text) => (format!("code {language}"), text.to_owned()),
                Block::Item(text) => ("item".to_owned(), text),
                Block::Paragraph(text) => ("paragraph".to_owned(), text),
            })
            .collect();
        assert_eq!(own, read, "{}", section.id);
    }
}

#[test]
fn the_id_of_a_finding_leads_to_the_section_of_its_cause() {
    let of = |id| find(id).map(|section| section.id);
    assert_eq!(of("zombies/never-waits/python3 worker.py"), Some("never-waits"));
    assert_eq!(of("signals/no-handler/SIGTERM/web"), Some("no-handler"));
    assert_eq!(of("stops/failed/SIGTERM/web"), Some("failed"));
    assert_eq!(of("forks/pids.max/bash"), Some("pids.max"));
    assert_eq!(of("never-waits"), Some("never-waits"));
    assert_eq!(of("other/never-waits"), None);
    assert_eq!(of(""), None);
}

#[test]
fn ids_that_are_written_wrong_are_guessed() {
    assert_eq!(nearest("nevr-waits").first(), Some(&"never-waits"));
    assert_eq!(nearest("NO_HANDLER").first(), Some(&"no-handler"));
    assert_eq!(nearest("pids-max").first(), Some(&"pids.max"));
    assert_eq!(nearest("qqq"), Vec::<&str>::new());
    let all: BTreeMap<&str, usize> = sections().map(|section| (section.id, nearest(section.id).len())).collect();
    assert!(all.values().all(|&count| (1..=MAX_PROPOSED).contains(&count)), "{all:?}");
}
