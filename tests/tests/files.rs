//! Files that others supply and files that are written: what a pull request or a traced command can do with them.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use zombie_trace_tests::binaries;

/// Much longer than it takes to refuse a file, much shorter than a run that hangs.
const AT_ONCE: Duration = Duration::from_secs(20);

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env_remove("SUDO_UID");
    command.output().expect("the tool can be started")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("the temporary folder can be written")
}

/// A file with some content, and its path.
fn precious(folder: &TempDir, name: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, "precious").expect("the folder is ours");
    path
}

#[test]
fn settings_that_are_no_regular_file_are_refused_at_once() {
    let folder = folder();
    symlink("/dev/zero", folder.path().join("zero")).expect("the folder is ours");
    fs::create_dir(folder.path().join("folder")).expect("the folder is ours");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo can be started").success());
    fs::write(folder.path().join("large"), vec![b'#'; 2 << 20]).expect("there is room");
    for name in ["zero", "folder", "fifo", "large"] {
        for option in ["--policy", "--baseline"] {
            let began = Instant::now();
            let output = run(folder.path(), &["check", option, name, "--source", "proc", "--", "true"]);
            assert_eq!(output.status.code(), Some(2), "{option} {name}: {}", text(&output));
            assert!(text(&output).contains(name), "{option} {name}: {}", text(&output));
            assert!(began.elapsed() < AT_ONCE, "{option} {name}");
        }
    }
}

/// A pull request may link to a file that only root can read, and the job's log is public.
#[test]
fn nothing_of_a_file_that_is_no_policy_is_printed() {
    let folder = folder();
    let secrets = "root:$6$secretsalt$secrethash:19000:0:99999:7:::\n";
    fs::write(folder.path().join("shadow"), secrets).expect("the folder is ours");
    fs::write(folder.path().join("environment"), "TOKEN = \"secrettoken\"\n").expect("the folder is ours");
    fs::write(folder.path().join("text.json"), "\"secrettext\"").expect("the folder is ours");
    for file in ["shadow", "environment", "text.json"] {
        let link = folder.path().join("link");
        symlink(file, &link).expect("the folder is ours");
        for option in ["--policy", "--baseline"] {
            let output = run(folder.path(), &["check", option, "link", "--source", "proc", "--", "true"]);
            assert_eq!(output.status.code(), Some(2), "{option} {file}: {}", text(&output));
            assert!(!text(&output).contains("secret"), "{option} {file}: {}", text(&output));
            assert!(text(&output).contains("line 1"), "{option} {file}: {}", text(&output));
        }
        fs::remove_file(link).expect("it is there");
    }
}

#[test]
fn text_of_a_policy_gives_no_command_to_a_terminal_or_a_runner() {
    let folder = folder();
    let expired = "[[allow]]\nfinding = \"x\\u001b*\"\nreason = \"a\\n::error title=x::y\\n##[error]z\\u001b[31m\"\n\
        expires = 2020-01-01\n";
    fs::write(folder.path().join("policy.toml"), expired).expect("the folder is ours");
    fs::write(folder.path().join("wrong.toml"), "max-zombie-age = \"1s\"\nx\u{1b}[2J]0;owned = 1\n").expect("ours");
    for (policy, exit) in [("policy.toml", 0), ("wrong.toml", 2)] {
        for more in [&[][..], &["--github"], &["--format", "json"]] {
            let arguments = [&["check", "--policy", policy, "--source", "proc"], more, &["--", "true"]].concat();
            let output = run(folder.path(), &arguments);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(exit), "{said}");
            assert!(!said.contains('\u{1b}'), "{said:?}");
            assert!(!said.lines().any(|line| line.starts_with("::error")), "{said}");
            if more == ["--github"] {
                assert!(!said.contains("##[error"), "{said}");
            }
        }
    }
}

#[test]
fn outputs_are_not_written_through_links() {
    let folder = folder();
    let target = precious(&folder, "target");
    symlink(&target, folder.path().join("link")).expect("the folder is ours");
    for option in ["--junit", "--sarif", "--output", "--save-baseline"] {
        let output = run(folder.path(), &["check", option, "link", "--source", "proc", "--", "true"]);
        assert_eq!(output.status.code(), Some(2), "{option}: {}", text(&output));
    }
    let output = run(folder.path(), &["live", "-o", "link", "--for", "1s"]);
    assert!(!output.status.success(), "{}", text(&output));
    assert_eq!(fs::read_to_string(&target).expect("it is there"), "precious");
}

#[test]
fn a_link_that_the_command_puts_there_is_replaced() {
    let folder = folder();
    let options = [("--junit", "a.xml"), ("--sarif", "b.sarif"), ("--output", "c.txt"), ("--save-baseline", "d.json")];
    let mut script = String::new();
    let mut arguments = vec!["check", "--source", "proc"];
    for (option, file) in options {
        precious(&folder, &format!("{file}.target"));
        script.push_str(&format!("ln -sf {file}.target {file}; "));
        arguments.extend([option, file]);
    }
    arguments.extend(["--", "sh", "-c", &script]);
    let output = run(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    for (option, file) in options {
        let target = fs::read_to_string(folder.path().join(format!("{file}.target"))).expect("it is there");
        assert_eq!(target, "precious", "{option}");
        let written = fs::symlink_metadata(folder.path().join(file)).expect("it was written");
        assert!(written.is_file() && written.len() > 0, "{option}");
        if option != "--save-baseline" {
            assert_eq!(written.mode() & 0o777, 0o600, "{option}: it tells command lines");
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).expect("ours").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2 * options.len(), "{left:?}");
}

#[test]
fn streams_are_written_to_as_they_are() {
    let folder = folder();
    let check = |output: &str| {
        run(folder.path(), &["check", "--source", "proc", "--format", "json", "-o", output, "--", "true"])
    };
    for name in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
        let output = check(name);
        assert!(String::from_utf8_lossy(&output.stdout).contains("\"verdict\":\"pass\""), "{name}: {}", text(&output));
        assert_eq!(output.status.code(), Some(0), "{name}: {}", text(&output));
    }
    assert_eq!(check("/dev/null").status.code(), Some(0));
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo can be started").success());
    let reader = std::thread::spawn(move || fs::read_to_string(fifo).expect("it is a pipe"));
    assert_eq!(check("fifo").status.code(), Some(0));
    assert!(reader.join().expect("it reads").contains("\"verdict\":\"pass\""));
    // By a shell, as people do it.
    let script = format!("{} check --source proc --junit >(cat >copy) -- true", binaries::zombie_trace().display());
    let status = Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output().expect("bash is there");
    assert!(status.status.success(), "{}", text(&status));
}
