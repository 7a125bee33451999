//! Links within the repository.

use std::path::Path;

use zombie_trace_tests::{TestResult, runner::Test, tests};

use crate::{pages, top};

pub(crate) fn all() -> Vec<Test> {
    tests![links_lead_to_files_and_headings, the_readme_is_two_screens, every_page_is_linked_from_the_readme]
}

/// The targets of the links and pictures in a text.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || "-_ ".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn links_lead_to_files_and_headings() -> TestResult {
    let mut checked = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("it can be read");
        for target in targets(&text).filter(|it| !it.contains("://") && !it.contains(' ')) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().expect("a file").join(file) };
            assert!(path.exists(), "{}: {target} leads nowhere", page.display());
            if !heading.is_empty() {
                let there = std::fs::read_to_string(&path).expect("it is a page");
                let mut headings = there.lines().filter(|it| it.starts_with('#'));
                let is_there = headings.any(|it| anchor(it.trim_start_matches('#').trim()) == heading);
                assert!(is_there, "{}: {target}: there is no such heading", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 60, "only {checked} links were found");
    Ok(())
}

fn the_readme_is_two_screens() -> TestResult {
    let lines = std::fs::read_to_string(top().join("README.md")).expect("it is there").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines; what is more belongs in zombie-trace/docs");
    Ok(())
}

/// A page that nobody finds might as well not be there. Those of the causes are linked from `causes.md`.
fn every_page_is_linked_from_the_readme() -> TestResult {
    let readme = std::fs::read_to_string(top().join("README.md")).expect("it is there");
    let causes = std::fs::read_to_string(top().join("zombie-trace/docs/causes.md")).expect("it is there");
    for page in pages() {
        let path = page.strip_prefix(top()).expect("it is in the repository");
        let below = path.strip_prefix(Path::new("zombie-trace/docs")).ok().map(|it| it.display().to_string());
        let is_linked = path == Path::new("README.md")
            || targets(&readme).any(|target| Path::new(target) == path)
            || below.is_some_and(|below| targets(&causes).any(|target| target == below));
        assert!(is_linked, "no link in README.md leads to {}", path.display());
    }
    Ok(())
}
