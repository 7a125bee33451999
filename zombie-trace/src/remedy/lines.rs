//! Finds the line of a Dockerfile, a Compose file or a pod's spec that is to be changed.
//!
//! Files are not parsed but looked through, as a person does: the line of the key, else the one that it belongs to. So a
//! file that no parser accepts still has a line.

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Instructions that build an image.
    Dockerfile,
    /// Services of Compose.
    Compose,
    /// A pod, or what has a template of one.
    Pod,
}

/// What is to be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// That there is an init.
    Init,
    /// The program.
    Entrypoint,
    /// Its arguments.
    Command,
    /// The stop signal.
    StopSignal,
}

/// The kind of a file, by its name and its content; `None` if it is of another kind.
#[must_use]
pub fn kind(name: &str, text: &str) -> Option<Kind> {
    let has = |key: &str| text.lines().any(|line| line.trim_start().trim_start_matches("- ").starts_with(key));
    let is_yaml = [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end));
    match () {
        () if text.lines().any(|line| line.starts_with("services:")) => Some(Kind::Compose),
        () if has("containers:") => Some(Kind::Pod),
        () if !is_yaml && text.lines().any(|line| instruction(line).is_some_and(|it| it == "FROM")) => {
            Some(Kind::Dockerfile)
        }
        () => None,
    }
}

/// The line, from 1. `image` is how the image is called, which tells apart several services or containers.
#[must_use]
pub fn find(text: &str, kind: Kind, key: Key, image: Option<&str>) -> usize {
    match kind {
        Kind::Dockerfile => dockerfile(text, key),
        Kind::Compose => {
            let keys: &[&str] = match key {
                Key::Init => &["init:", "entrypoint:", "command:", "image:"],
                Key::Entrypoint => &["entrypoint:", "command:", "image:"],
                Key::Command => &["command:", "entrypoint:", "image:"],
                Key::StopSignal => &["stop_signal:", "image:"],
            };
            key_of(&services(text), keys, image)
        }
        Kind::Pod => {
            let keys: &[&str] = match key {
                Key::Init | Key::Entrypoint => &["command:", "args:", "image:"],
                Key::Command => &["args:", "command:", "image:"],
                Key::StopSignal => &["stopSignal:", "lifecycle:", "image:"],
            };
            key_of(&containers(text), keys, image)
        }
    }
}

/// The word that a Dockerfile's line begins with, in upper case.
fn instruction(line: &str) -> Option<String> {
    let word = line.split_whitespace().next()?;
    word.chars().all(|letter| letter.is_ascii_alphabetic()).then(|| word.to_ascii_uppercase())
}

/// The last one of the last stage counts, as in a build.
fn dockerfile(text: &str, key: Key) -> usize {
    let (mut from, mut entrypoint, mut command, mut stop_signal) = (None, None, None, None);
    let mut continues = false;
    let mut heredoc: Option<String> = None;
    for (index, line) in text.lines().enumerate() {
        if let Some(end) = &heredoc {
            if line.trim_start_matches('\t') == end {
                heredoc = None;
            }
            continue;
        }
        // Comments do not end an instruction of several lines.
        if line.trim_start().starts_with('#') {
            continue;
        }
        let begins = !std::mem::replace(&mut continues, line.trim_end().ends_with('\\'));
        if let Some((_, rest)) = line.split_once("<<") {
            let is_of_word = |it: &char| it.is_ascii_alphanumeric() || *it == '_';
            let word: String = rest.chars().filter(|it| !"-\"'".contains(*it)).take_while(is_of_word).collect();
            // A shift in an expression of the shell, `1<<2`, begins with a digit.
            heredoc = word.starts_with(|first: char| !first.is_ascii_digit()).then_some(word);
        }
        if !begins {
            continue;
        }
        match instruction(line).as_deref() {
            Some("FROM") => (from, entrypoint, command, stop_signal) = (Some(index), None, None, None),
            Some("ENTRYPOINT") => entrypoint = Some(index),
            Some("CMD") => command = Some(index),
            Some("STOPSIGNAL") => stop_signal = Some(index),
            _ => {}
        }
    }
    let found = match key {
        Key::Init | Key::Entrypoint => entrypoint.or(command),
        Key::Command => command.or(entrypoint),
        Key::StopSignal => stop_signal.or(entrypoint).or(command),
    };
    found.or(from).unwrap_or(0) + 1
}

/// Part of a file: a service, or a container.
#[derive(Debug, Default)]
struct Part<'a> {
    /// Its first line, from 1.
    line: usize,
    /// Its own keys, with their values.
    keys: Vec<(usize, &'a str)>,
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let all = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    all.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

fn services(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    let (mut inside, mut of_service, mut of_key) = (false, None, None);
    for (number, line) in lines(text) {
        let deep = indent(line);
        if deep == 0 {
            inside = line.starts_with("services:");
        } else if inside && deep <= *of_service.get_or_insert(deep) {
            parts.push(Part { line: number, keys: Vec::new() });
            of_key = None;
        } else if inside
            && deep == *of_key.get_or_insert(deep)
            && let Some(part) = parts.last_mut()
        {
            part.keys.push((number, line.trim_start()));
        }
    }
    parts
}

fn containers(text: &str) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    // Of the list, and of its items.
    let (mut list, mut item) = (None, None);
    for (number, line) in lines(text) {
        let deep = indent(line);
        let (bare, is_item) = match line.trim_start().strip_prefix("- ") {
            Some(rest) => (rest.trim_start(), true),
            None => (line.trim_start(), false),
        };
        if bare.starts_with("containers:") {
            (list, item) = (Some(deep), None);
            continue;
        }
        let Some(above) = list else { continue };
        // The items of a list may stand below its key, or as far left as it.
        if deep < above || deep == above && !is_item {
            list = None;
        } else if is_item && deep <= *item.get_or_insert(deep) {
            parts.push(Part { line: number, keys: vec![(number, bare)] });
        } else if let Some(part) = parts.last_mut() {
            part.keys.push((number, bare));
        }
    }
    parts
}

/// The line of the first of these keys, in the part that has this image, or in the only one.
fn key_of(parts: &[Part<'_>], keys: &[&str], image: Option<&str>) -> usize {
    let value = |text: &str| text.split_once(':').map(|(_, value)| value.trim().trim_matches(['"', '\'']).to_owned());
    let has_image = |part: &&Part<'_>| {
        let own = part.keys.iter().find(|(_, key)| key.starts_with("image:")).and_then(|(_, key)| value(key));
        own.is_some() && own.as_deref() == image
    };
    let part = parts.iter().find(has_image).or(if parts.len() == 1 { parts.first() } else { None });
    let Some(part) = part else { return parts.first().map_or(1, |part| part.line.saturating_sub(1).max(1)) };
    let line = keys.iter().find_map(|key| part.keys.iter().find(|(_, own)| own.starts_with(key)));
    line.map_or(part.line, |(line, _)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCKERFILE: &str = "\
FROM golang AS build
ENTRYPOINT [\"go\"]
RUN <<EOF
CMD not one
EOF
FROM alpine
RUN echo $((1<<2))
RUN apk add \\
    # a comment
    CMD-like \\
    tini
cmd [\"server\"]
";

    #[test]
    fn of_a_dockerfile_the_last_stage_counts() {
        assert_eq!(kind("build/Dockerfile", DOCKERFILE), Some(Kind::Dockerfile));
        let line = |key| find(DOCKERFILE, Kind::Dockerfile, key, None);
        assert_eq!((line(Key::Init), line(Key::Command), line(Key::StopSignal)), (12, 12, 12));
        let more = format!("{DOCKERFILE}STOPSIGNAL 15\nENTRYPOINT [\"/entry\"]\n");
        assert_eq!(find(&more, Kind::Dockerfile, Key::StopSignal, None), 13);
        assert_eq!(find(&more, Kind::Dockerfile, Key::Init, None), 14);
        assert_eq!(find("# a\nFROM scratch\n", Kind::Dockerfile, Key::Init, None), 2);
    }

    const COMPOSE: &str = "\
name: shop
services:
  db:
    image: postgres
  web:
    build: .
    image: \"shop/web:1\"
    environment:
      init: \"no\"
    stop_signal: SIGTERM
volumes:
  init: {}
";

    #[test]
    fn of_compose_the_service_of_the_image_counts() {
        assert_eq!(kind("compose.yaml", COMPOSE), Some(Kind::Compose));
        let line = |key, image| find(COMPOSE, Kind::Compose, key, image);
        assert_eq!(line(Key::StopSignal, Some("shop/web:1")), 10);
        assert_eq!(line(Key::Init, Some("shop/web:1")), 7);
        assert_eq!(line(Key::Init, Some("postgres")), 4);
        // Nobody knows which.
        assert_eq!(line(Key::Init, Some("other")), 2);
        assert_eq!(find("services:\n  a:\n    build: .\n    init: false\n", Kind::Compose, Key::Init, None), 4);
    }

    const POD: &str = "\
apiVersion: apps/v1
kind: Deployment
spec:
  template:
    spec:
      containers:
      - name: side
        image: side:1
      - name: web
        image: web:1
        args: [\"serve\"]
        lifecycle:
          stopSignal: SIGTERM
      volumes:
      - name: command
";

    #[test]
    fn of_a_pod_the_container_of_the_image_counts() {
        assert_eq!(kind("pod.yaml", POD), Some(Kind::Pod));
        let line = |key, image| find(POD, Kind::Pod, key, Some(image));
        assert_eq!(line(Key::Init, "web:1"), 11);
        assert_eq!(line(Key::StopSignal, "web:1"), 13);
        assert_eq!(line(Key::StopSignal, "side:1"), 8);
        assert_eq!(line(Key::Init, "other"), 6);
    }

    #[test]
    fn what_is_neither_has_no_lines() {
        assert_eq!(kind("readme.md", "FROMAGE\nservices\n"), None);
        assert_eq!(kind("values.yaml", "a: 1\n"), None);
    }
}
