//! Which line of a Dockerfile, a Compose file or a pod's spec to change when an entrypoint fails a check.
//!
//! [`propose`] says what to write, by what was seen; [`lines`] finds where. Not here: why a check failed.

pub mod lines;

use serde::Serialize;

use crate::{
    programs::{INITS, SHELLS, base_name},
    signal,
    text::escape,
};
use lines::Key;

/// What is known of an entrypoint that failed.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The whole command.
    pub command: &'a [String],
    /// The part of it that a Dockerfile's ENTRYPOINT has; the rest is CMD.
    pub entrypoint: &'a [String],
    /// Ids of the checks that failed.
    pub failed: &'a [&'static str],
    /// Signals other than its stop signal on which it was seen to end.
    pub ends_on: &'a [u32],
}

/// A change that would help. All of it is escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The checks that it is for.
    pub checks: Vec<&'static str>,
    /// What to do, in words.
    pub why: &'static str,
    /// The instruction of a Dockerfile.
    pub dockerfile: String,
    /// The key of a Compose file's service.
    pub compose: String,
    /// The key of a pod's container.
    pub pod: String,
    /// Where the user's own file has it.
    pub place: Option<Place>,
    #[serde(skip)]
    change: Change,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The file as the user named it, escaped.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// What to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// An init in front.
    Init,
    /// One that signals the whole group.
    GroupInit,
    /// No shell in front.
    ExecForm,
    /// Another stop signal.
    StopSignal(u32),
}

/// What would help with the checks that failed; nothing for those that no line of these files can help.
#[must_use]
pub fn propose(seen: Seen<'_>) -> Vec<Fix> {
    let mut fixes: Vec<Fix> = Vec::new();
    for &check in seen.failed {
        let Some(change) = change_for(check, seen) else { continue };
        match fixes.iter_mut().find(|fix| fix.change == change) {
            Some(fix) => fix.checks.push(check),
            None => fixes.push(fix(change, check, seen)),
        }
    }
    fixes
}

/// Whether an init is PID 1 already.
fn has_init(seen: Seen<'_>) -> bool {
    seen.command.first().is_some_and(|word| INITS.contains(&base_name(word)))
}

/// The script, if a shell is PID 1 or what its init starts.
fn script<'a>(seen: Seen<'a>) -> Option<&'a str> {
    let behind =
        if has_init(seen) { seen.command.iter().position(|word| word == "--").map_or(1, |at| at + 1) } else { 0 };
    match seen.command.get(behind..)? {
        [shell, flag, script, ..] if SHELLS.contains(&base_name(shell)) && flag == "-c" => Some(script),
        _ => None,
    }
}

fn change_for(check: &str, seen: Seen<'_>) -> Option<Change> {
    let signals_its_child_alone =
        seen.command.first().is_some_and(|word| matches!(base_name(word), "tini" | "tini-static" | "docker-init"));
    let init = (!has_init(seen)).then_some(Change::Init);
    match check {
        // Its own program waits twice, with an init or without.
        "reaps-once" => None,
        _ if check.starts_with("reaps-") => init,
        "ends-within-grace" | "ends-with-stop-blocked" | "ends-with-stop-ignored" => match seen.ends_on.first() {
            Some(&signal) => Some(Change::StopSignal(signal)),
            None if script(seen).is_some() => Some(Change::ExecForm),
            None => init,
        },
        "children-get-term" | "descendants-get-term" => match (script(seen), has_init(seen)) {
            (Some(_), _) if check == "children-get-term" => Some(Change::ExecForm),
            (_, true) if signals_its_child_alone => Some(Change::GroupInit),
            (_, true) => None,
            (_, false) => Some(Change::GroupInit),
        },
        _ if check.starts_with("forwards-") || check.starts_with("passes-on-") => init,
        _ => None,
    }
}

fn fix(change: Change, check: &'static str, seen: Seen<'_>) -> Fix {
    let (why, dockerfile, compose, pod) = match change {
        Change::Init | Change::GroupInit => {
            let flags: &[&str] = if change == Change::Init { &["--"] } else { &["-g", "--"] };
            let under = |words: &[String]| {
                let (own, rest) = match words.split_first() {
                    Some((init, rest)) if INITS.contains(&base_name(init)) => {
                        (init.clone(), rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest))
                    }
                    _ => ("tini".to_owned(), words),
                };
                let flags = flags.iter().map(|&flag| flag.to_owned());
                list([own].into_iter().chain(flags).chain(rest.iter().cloned()))
            };
            let (entrypoint, whole) = (under(seen.entrypoint), under(seen.command));
            let dockerfile = format!("ENTRYPOINT {entrypoint}");
            let pod = format!("command: {whole}");
            match change {
                Change::Init => {
                    ("run it under an init, which reaps and forwards", dockerfile, "init: true".to_owned(), pod)
                }
                _ => (
                    "let the init signal the whole process group",
                    dockerfile,
                    format!("entrypoint: {entrypoint}"),
                    pod,
                ),
            }
        }
        Change::ExecForm => {
            let words = script(seen).and_then(simple_words);
            let why = "start the program directly, not through a shell, which does not pass on signals";
            match words {
                Some(words) => {
                    let words = list(words);
                    (why, format!("CMD {words}"), format!("command: {words}"), format!("command: {words}"))
                }
                None => {
                    let exec =
                        |before: &str| format!("{before} with `exec` before the last program of the shell's line");
                    (why, exec("CMD"), exec("command:"), exec("command:"))
                }
            }
        }
        Change::StopSignal(number) => {
            let signal = signal::name(number);
            (
                "use a stop signal on which it exits",
                format!("STOPSIGNAL {signal}"),
                format!("stop_signal: {signal}"),
                format!("lifecycle: {{stopSignal: {signal}}}"),
            )
        }
    };
    Fix { checks: vec![check], why, dockerfile, compose, pod, place: None, change }
}

/// The words of a script that has nothing but words.
fn simple_words(script: &str) -> Option<Vec<String>> {
    let script = script.trim().trim_end_matches(';');
    let script = script.strip_prefix("exec ").unwrap_or(script);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,@%+ ".contains(letter);
    let words: Vec<String> = script.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    (script.chars().all(plain) && !words.is_empty()).then_some(words)
}

/// A list, as JSON and YAML write it.
fn list(words: impl IntoIterator<Item = String>) -> String {
    let words = words.into_iter().map(|word| format!("{:?}", escape::text(word.as_bytes())));
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}

impl Fix {
    /// The key of a file that is to be changed.
    fn key(&self) -> Key {
        match self.change {
            Change::Init => Key::Init,
            Change::GroupInit => Key::Entrypoint,
            Change::ExecForm => Key::Command,
            Change::StopSignal(_) => Key::StopSignal,
        }
    }

    /// What to write in the file that the place is in.
    #[must_use]
    pub fn text(&self, kind: lines::Kind) -> &str {
        match kind {
            lines::Kind::Dockerfile => &self.dockerfile,
            lines::Kind::Compose => &self.compose,
            lines::Kind::Pod => &self.pod,
        }
    }

    /// Looks for the line in a file of the user's.
    pub fn find(&mut self, file: &str, text: &str, kind: lines::Kind, image: Option<&str>) {
        self.place = Some(Place { file: file.to_owned(), line: lines::find(text, kind, self.key(), image) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    fn fixes(command: &str, entrypoint: &str, failed: &[&'static str], ends_on: &[u32]) -> Vec<Fix> {
        propose(Seen { command: &words(command), entrypoint: &words(entrypoint), failed, ends_on })
    }

    const ALL: &[&str] = &["reaps-orphans", "ends-within-grace", "children-get-term"];

    #[test]
    fn a_program_that_is_no_init_gets_one() {
        let found = fixes("server|-p|80", "", &["reaps-orphans", "ends-within-grace", "forwards-hup"], &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].checks, ["reaps-orphans", "ends-within-grace", "forwards-hup"]);
        // CMD stays as it is, and is what tini starts.
        assert_eq!(found[0].dockerfile, r#"ENTRYPOINT ["tini", "--"]"#);
        assert_eq!(found[0].compose, "init: true");
        assert_eq!(found[0].pod, r#"command: ["tini", "--", "server", "-p", "80"]"#);
        assert_eq!(fixes("a|b", "a", ALL, &[])[0].dockerfile, r#"ENTRYPOINT ["tini", "--", "a"]"#);
    }

    #[test]
    fn what_ends_on_another_signal_is_stopped_by_that() {
        let found = fixes("python3|a.py", "", &["ends-within-grace"], &[signal::SIGINT]);
        assert_eq!(found.len(), 1);
        assert_eq!((&*found[0].dockerfile, &*found[0].compose), ("STOPSIGNAL SIGINT", "stop_signal: SIGINT"));
        assert_eq!(found[0].pod, "lifecycle: {stopSignal: SIGINT}");
    }

    #[test]
    fn a_shell_in_front_is_left_out() {
        let found = fixes("/bin/sh|-c|node server.js", "", &["ends-within-grace", "children-get-term"], &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].dockerfile, r#"CMD ["node", "server.js"]"#);
        let found = fixes("/bin/sh|-c|a && b $C", "", &["children-get-term"], &[]);
        assert!(found[0].dockerfile.contains("`exec`"), "{found:?}");
    }

    #[test]
    fn an_init_is_told_to_signal_the_group_and_no_second_one_is_proposed() {
        let found = fixes("/sbin/tini|--|app", "/sbin/tini|--", &["descendants-get-term", "reaps-orphans"], &[]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].dockerfile, r#"ENTRYPOINT ["/sbin/tini", "-g", "--"]"#);
        assert!(fixes("dumb-init|app", "dumb-init", ALL, &[]).is_empty());
        assert!(fixes("app", "", &["reaps-once", "read-only-root"], &[]).is_empty());
    }

    #[test]
    fn the_words_of_an_image_are_no_terminal_codes() {
        let found = fixes("a\u{1b}[2J\"b", "", &["reaps-orphans"], &[]);
        assert_eq!(found[0].pod, r#"command: ["tini", "--", "a\\x1b[2J\"b"]"#);
    }
}
