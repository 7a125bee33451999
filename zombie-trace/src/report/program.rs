//! The name of a program as a person gives it: the script, not its interpreter.
//!
//! Ids of findings are made of it, and baselines of ids. So nothing in it may differ from run to run: no pids, no
//! temporary names, no hashes; and two programs of one project should not have the same name.

use crate::{
    container::Container,
    programs::{SHELLS, base_name},
};

/// Names of programs that run others, and how they take them; shells that take them as `sh` does aside.
const INTERPRETERS: [(&str, Style); 17] = [
    ("python", Style { code: &["-c"], module: Some("-m"), with_value: &["-W", "-X", "--check-hash-based-pycs"] }),
    ("pypy", Style { code: &["-c"], module: Some("-m"), with_value: &["-W", "-X"] }),
    ("node", NODE),
    ("nodejs", NODE),
    ("bun", Style { code: &["-e", "--eval"], module: None, with_value: &["-r", "--preload", "--cwd"] }),
    ("deno", Style { code: &["eval"], module: None, with_value: &["-c", "--config", "--import-map"] }),
    ("ruby", Style { code: &["-e"], module: None, with_value: &["-I", "-r", "-C", "-E", "-K"] }),
    ("jruby", Style { code: &["-e"], module: None, with_value: &["-I", "-r", "-C", "-E"] }),
    ("perl", Style { code: &["-e", "-E"], module: None, with_value: &["-I", "-M", "-m"] }),
    ("php", Style { code: &["-r"], module: None, with_value: &["-c", "-d", "-z", "-S", "-t"] }),
    ("lua", Style { code: &["-e"], module: None, with_value: &["-l"] }),
    ("luajit", Style { code: &["-e"], module: None, with_value: &["-l"] }),
    ("tclsh", PLAIN),
    ("Rscript", Style { code: &["-e"], module: None, with_value: &[] }),
    ("java", JAVA),
    ("pwsh", Style { code: &["-c", "-Command"], module: None, with_value: &[] }),
    ("fish", Style { code: &["-c"], module: None, with_value: &["-C"] }),
];

/// How an interpreter takes its program.
#[derive(Clone, Copy)]
struct Style {
    /// Options that are followed by code.
    code: &'static [&'static str],
    /// The option that is followed by the name of a module.
    module: Option<&'static str>,
    /// Other options that are followed by a value.
    with_value: &'static [&'static str],
}

const PLAIN: Style = Style { code: &[], module: None, with_value: &[] };
const SHELL: Style =
    Style { code: &["-c"], module: None, with_value: &["-o", "+o", "-O", "+O", "--rcfile", "--init-file"] };
const NODE: Style = Style {
    code: &["-e", "--eval", "-p", "--print", "-pe"],
    module: None,
    with_value: &["-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions"],
};
const JAVA: Style = Style {
    code: &[],
    module: Some("-m"),
    with_value: &[
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--add-modules",
        "--add-opens",
        "--add-exports",
        "--add-reads",
        "--limit-modules",
        "--patch-module",
        "--upgrade-module-path",
    ],
};

/// Names of scripts that say little without the folder that they lie in.
const COMMON: [&str; 12] = [
    "__main__.py",
    "main.py",
    "app.py",
    "manage.py",
    "run.py",
    "index.js",
    "main.js",
    "server.js",
    "app.js",
    "cli.js",
    "run.sh",
    "entrypoint.sh",
];

/// Longest name, characters.
const LONGEST: usize = 64;

/// The name of a program by its arguments: `python3 a.py`, `python3 -m http.server`, `sh -c`, `java app.jar`,
/// `node web:index.js`. `None` if they tell no more than the kernel's name for the process does.
pub(super) fn of_arguments(words: &[String]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let own = base_name(first.strip_prefix('-').unwrap_or(first));
    Some(shortened(&multi_call(own, rest).or_else(|| interpreted(own, rest))?))
}

/// The name of a program by the kernel's name for the process, which is safe to show already.
pub(super) fn of_comm(comm: &str) -> String {
    shortened(&stable(comm))
}

/// The name of a program of a container: `python3 a.py@web`, with the Compose service or else with the image, without
/// where that comes from and which version it is.
pub(super) fn within(program: String, container: Option<&Container>) -> String {
    let service = container.and_then(|it| it.compose.as_ref()).map(|compose| compose.service.as_str());
    let image = container.and_then(|it| it.image.as_deref()).map(image_name);
    match service.or(image).filter(|name| !name.is_empty()) {
        Some(name) => format!("{program}@{}", shortened(&stable(name))),
        None => program,
    }
}

/// `app` of `registry.example:5000/team/app:1.2@sha256:…`.
fn image_name(image: &str) -> &str {
    let without_digest = image.split('@').next().unwrap_or_default();
    base_name(without_digest).split(':').next().unwrap_or_default()
}

fn shortened(name: &str) -> String {
    name.chars().take(LONGEST).collect()
}

/// A binary that is many programs.
fn multi_call(own: &str, rest: &[String]) -> Option<String> {
    match own {
        "busybox" | "toybox" => {
            let applet = rest.first().filter(|word| !word.starts_with('-'))?;
            interpreted(base_name(applet), rest.get(1..).unwrap_or_default())
                .or_else(|| Some(stable(base_name(applet))))
        }
        "coreutils" => rest.first()?.strip_prefix("--coreutils-prog=").map(stable),
        _ => None,
    }
}

fn interpreted(own: &str, rest: &[String]) -> Option<String> {
    // python3.11 is python3: a minor version is no other program.
    let shown = own.split('.').next().unwrap_or(own);
    let plain = shown.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
    let known = INTERPRETERS.iter().find(|(known, _)| *known == plain).map(|(_, style)| style);
    let style = known.or(SHELLS.contains(&plain).then_some(&SHELL))?;
    let mut words = rest.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if style.code.contains(&word) || is_bundle_with_code(word, style) {
            return Some(format!("{shown} {}", style.code.first().copied().unwrap_or_default()));
        }
        if style.module == Some(word) || (plain == "java" && word == "--module") {
            return words
                .next()
                .map(|module| format!("{shown} -m {}", stable(module.split('/').next().unwrap_or(module))));
        }
        if plain == "java" && word == "-jar" {
            return words.next().map(|jar| format!("{shown} {}", script(jar)));
        }
        if plain == "php" && word == "-f" {
            return words.next().map(|file| format!("{shown} {}", script(file)));
        }
        if style.with_value.contains(&word) {
            words.next();
            continue;
        }
        if word == "--" {
            return words.next().map(|file| format!("{shown} {}", script(file)));
        }
        if (plain == "deno" || plain == "bun") && word == "run" {
            continue;
        }
        let is_option = word.starts_with('-') || (word.starts_with('+') && style.with_value.contains(&"+o"));
        if is_option || word.is_empty() || (plain == "java" && word.starts_with('@')) {
            continue;
        }
        let program = if plain == "java" { stable(word) } else { script(word) };
        return Some(format!("{shown} {program}"));
    }
    // It reads its program from its input, or is one for people.
    Some(shown.to_owned())
}

/// `sh -ec CODE`, `perl -ne CODE`: the last letter of several takes the value.
fn is_bundle_with_code(word: &str, style: &Style) -> bool {
    let letters = word.strip_prefix('-').filter(|letters| letters.len() > 1 && !letters.starts_with('-'));
    letters.is_some_and(|letters| {
        letters.bytes().all(|letter| letter.is_ascii_alphabetic())
            && letters.len() <= 4
            && style.code.iter().any(|code| code.len() == 2 && letters.ends_with(&code[1..]))
            && !style.code.contains(&letters)
    })
}

/// A script by its name, with its folder where the name is anybody's.
fn script(path: &str) -> String {
    let name = base_name(path);
    let folder = path.rsplit('/').nth(1).filter(|folder| !matches!(*folder, "" | "." | ".."));
    match folder {
        Some(folder) if COMMON.contains(&name) && stable(folder) == folder => format!("{folder}:{name}"),
        _ => stable(name),
    }
}

/// The text without what differs from run to run: what looks like a number of four digits or more, a hash, a UUID or a
/// temporary name becomes `N`. A slash, which would make another part of an id, becomes a colon.
fn stable(text: &str) -> String {
    let (mut stable, rest) = match temporary(text) {
        Some(rest) => ("N".to_owned(), rest),
        None => (String::new(), text),
    };
    let rest = without_uuids(rest);
    let mut word = String::new();
    for letter in rest.chars().chain(['\0']) {
        if letter.is_ascii_alphanumeric() {
            word.push(letter);
            continue;
        }
        stable.push_str(if is_random(&word) { "N" } else { &word });
        word.clear();
        match letter {
            '\0' => {}
            '/' => stable.push(':'),
            _ => stable.push(letter),
        }
    }
    stable
}

/// What follows a temporary name: of Python, `tmp` and eight random characters, or of mktemp, `tmp.` and ten.
fn temporary(text: &str) -> Option<&str> {
    let ends = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_ascii_alphanumeric() && next != '_');
    let random = |from: usize, to: usize| {
        let (random, rest) = (text.get(from..to)?, text.get(to..)?);
        let is_random = random.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        (is_random && ends(rest)).then_some(rest)
    };
    if text.starts_with("tmp.") {
        random(4, 14)
    } else if text.starts_with("tmp") {
        random(3, 11)
    } else {
        None
    }
}

fn without_uuids(text: &str) -> String {
    const LENGTH: usize = 36;
    let is_uuid = |part: &str| {
        part.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let mut rest = text;
    let mut without = String::with_capacity(text.len());
    while let Some(letter) = rest.chars().next() {
        if rest.get(..LENGTH).is_some_and(is_uuid) {
            without.push('N');
            rest = rest.get(LENGTH..).unwrap_or_default();
        } else {
            without.push(letter);
            rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        }
    }
    without
}

fn is_random(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let letters = word.len() - digits;
    let number = digits >= 4 && letters == 0;
    let hash = word.len() >= 7 && digits >= 2 && letters >= 1 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    // Letters and digits by turns, as no person names anything.
    let mixed = word.len() >= 8 && digits >= 3 && turns(word) >= 4;
    number || hash || mixed
}

/// How often a letter follows a digit or a digit a letter.
fn turns(word: &str) -> usize {
    let kinds: Vec<bool> = word.bytes().map(|byte| byte.is_ascii_digit()).collect();
    kinds.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{Compose, Runtime};

    fn name(comm: &str, cmdline: Option<&[String]>) -> String {
        cmdline.and_then(of_arguments).unwrap_or_else(|| of_comm(comm))
    }

    #[track_caller]
    fn is(cmdline: &str, want: &str) {
        let words: Vec<String> = cmdline.split(' ').map(str::to_owned).collect();
        assert_eq!(name("comm", Some(&words)), want, "{cmdline}");
    }

    #[test]
    fn a_script_is_named_and_its_interpreter_with_it() {
        is("python3 a.py", "python3 a.py");
        is("/usr/bin/python3.11 -u -W ignore ./tests/b.py --port 8080", "python3 b.py");
        is("python3 -m http.server 8000", "python3 -m http.server");
        is("python3 -X dev -m pytest tests", "python3 -m pytest");
        is("python3 -c import.os", "python3 -c");
        is("python3", "python3");
        is("/usr/bin/node --max-old-space-size=4096 -r dotenv/config web/index.js", "node web:index.js");
        is("node -e 1", "node -e");
        is("ruby -I lib bin/rake test", "ruby rake");
        is("perl -w -I lib t/run.pl", "perl run.pl");
        is("perl -ne print", "perl -e");
        is("deno run -A main.ts", "deno main.ts");
        is("php -d x=1 -f artisan", "php artisan");
    }

    #[test]
    fn shells_are_named_by_their_script_and_not_by_their_code() {
        is("sh -c sleep", "sh -c");
        is("/bin/bash -ec sleep", "bash -c");
        is("bash --noprofile --norc -e -o pipefail /w/build.sh", "bash build.sh");
        is("-bash", "bash");
        is("bash -- deploy.sh", "bash deploy.sh");
        is("/bin/sh /docker-entrypoint.sh nginx", "sh docker-entrypoint.sh");
    }

    #[test]
    fn java_is_named_by_its_archive_or_its_class() {
        is("java -Xmx1g -jar /srv/app.jar --port 80", "java app.jar");
        is("java -cp /srv/lib/* -Dx=y com.example.Main", "java com.example.Main");
        is("java -p mods -m com.example/com.example.Main", "java -m com.example");
    }

    #[test]
    fn a_binary_of_many_programs_is_named_by_the_one_it_is() {
        is("busybox httpd -f", "httpd");
        is("/bin/busybox sh -c x", "sh -c");
        is("busybox sh /init.sh", "sh init.sh");
        is("coreutils --coreutils-prog=sleep 5", "sleep");
    }

    #[test]
    fn two_programs_of_one_interpreter_differ_also_where_their_names_are_anybodys() {
        is("python3 one/main.py", "python3 one:main.py");
        is("python3 two/main.py", "python3 two:main.py");
        is("python3 main.py", "python3 main.py");
    }

    #[test]
    fn nothing_in_a_name_changes_from_run_to_run() {
        is("python3 /tmp/tmpa8f3k2lq/main.py", "python3 main.py");
        is("python3 /tmp/tmpa8f3k2lq.py", "python3 N.py");
        is("python3 /tmp/tmpab_c2lqx.py", "python3 N.py");
        is("bash /tmp/tmp.AbCdEfGhIj", "bash N");
        is("bash /w/_temp/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0.sh", "bash N.sh");
        is("python3 worker-12345.py", "python3 worker-N.py");
        is("python3 step_7f3c9a1b.py", "python3 step_N.py");
        assert_eq!(name("worker-48213", None), "worker-N");
    }

    #[test]
    fn ordinary_names_stay() {
        for plain in [
            "python3",
            "nginx",
            "kworker",
            "base64",
            "sha256sum",
            "x86_64",
            "test_2024q1",
            "tmux: server",
            "a.out",
            "db01",
            "tmpreaper",
        ] {
            assert_eq!(name(plain, None), plain);
        }
        assert_eq!(name("kworker/0:1", None), "kworker:0:1");
        is("nginx: master process nginx", "comm");
        is("", "comm");
        assert_eq!(name("app", Some(&[])), "app");
    }

    #[test]
    fn a_program_of_a_container_has_the_name_of_its_service_or_image() {
        let of = |image: Option<&str>, service: Option<&str>| {
            let compose = service.map(|service| Box::new(Compose { project: "shop".into(), service: service.into() }));
            let image = image.map(str::to_owned);
            let container = Container { image, compose, ..Container::new(Runtime::Docker, "c".repeat(64)) };
            within("sh run.sh".to_owned(), Some(&container))
        };
        assert_eq!(of(None, None), "sh run.sh");
        assert_eq!(of(Some("app"), None), "sh run.sh@app");
        assert_eq!(of(Some("registry.example:5000/team/app:1.2"), None), "sh run.sh@app");
        assert_eq!(of(Some("app:7f3c9a1b"), None), of(Some("app:0e1d2c3b"), None), "a build is no other program");
        assert_eq!(of(Some("app@sha256:0123456789abcdef"), None), "sh run.sh@app");
        assert_eq!(of(Some("sha256:0123456789abcdef"), None), "sh run.sh@sha256");
        assert_eq!(of(Some("app"), Some("web")), "sh run.sh@web");
        assert_eq!(within("sh".to_owned(), None), "sh");
    }

    #[test]
    fn a_name_is_short_whatever_the_arguments() {
        let words = ["python3".to_owned(), "x".repeat(100_000)];
        assert!(name("python3", Some(&words)).len() <= 64);
    }
}
