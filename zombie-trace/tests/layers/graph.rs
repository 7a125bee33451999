//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// One circle of the graph that has these edges, its first node once more at the end; `None` if there is none. An edge
/// from a node to itself is no circle.
pub(crate) fn circle<'a>(edges: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Vec<String>> {
    let mut next = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (from, to) in edges.into_iter().filter(|(from, to)| from != to) {
        next.entry(from).or_default().insert(to);
    }
    let mut done = BTreeSet::new();
    let starts: Vec<&str> = next.keys().copied().collect();
    starts.into_iter().find_map(|start| visit(start, &next, &mut done, &mut Vec::new()))
}

fn visit<'a>(
    node: &'a str,
    next: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    done: &mut BTreeSet<&'a str>,
    path: &mut Vec<&'a str>,
) -> Option<Vec<String>> {
    if let Some(start) = path.iter().position(|&it| it == node) {
        return Some(path[start..].iter().chain([&node]).map(|&it| it.to_owned()).collect());
    }
    if !done.insert(node) {
        return None;
    }
    path.push(node);
    let found = next.get(node).into_iter().flatten().find_map(|to| visit(to, next, done, path));
    path.pop();
    found
}

#[test]
fn a_circle_is_found_and_shown() {
    assert_eq!(circle([("a", "b"), ("b", "c"), ("a", "c"), ("a", "a")]), None);
    assert_eq!(
        circle([("a", "b"), ("b", "c"), ("d", "c"), ("c", "b")]),
        Some(vec!["b".into(), "c".into(), "b".into()])
    );
}
