//! `init-check --rootfs` over images that mean harm: nothing gets out, and nothing is left.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::{NamedTempFile, TempDir};
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, clock, process, require, tests};

use super::{
    checking::{run, text},
    grading::unpacked_image,
};

pub(crate) fn all() -> Vec<Test> {
    tests![
        no_classic_way_leads_out_of_a_foreign_root,
        an_image_stays_as_it_was,
        what_a_command_prints_is_bounded_and_harmless,
        a_fork_bomb_is_bounded_and_leaves_nothing,
        nothing_is_left_when_the_tool_alone_is_killed,
        a_graded_server_has_a_loopback_of_its_own,
    ]
}

/// Runs this script as the entrypoint of an image, for the one check that only starts and stops it.
fn grade(image: &TempDir, script: &str) -> (Option<i32>, String) {
    let entry = image.path().join("entry");
    std::fs::write(&entry, format!("#!/bin/sh\n{script}\n")).expect("the folder is ours");
    std::fs::set_permissions(&entry, PermissionsExt::from_mode(0o755)).expect("it is ours");
    let root = image.path().to_string_lossy().into_owned();
    let only = ["--grace", "2s", "--only", "ends-within-grace", "--rootfs", &root, "--"];
    let output = run(&[&["init-check"], &only[..], &["tini", "--", "/entry"]].concat());
    (output.status.code(), text(&output))
}

/// The image, with the actor and its libraries in it.
fn image_with_actor() -> Result<TempDir, Skip> {
    let image = unpacked_image()?;
    let actor = binaries::actor();
    let libraries = Command::new("ldd").arg(actor).output().expect("ldd can be started");
    for file in text(&libraries).split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
        let copy = image.path().join(file.strip_prefix("/").expect("it begins with a slash"));
        std::fs::create_dir_all(copy.parent().expect("it is in a folder")).expect("the folder is ours");
        std::fs::copy(file, copy).expect("there is room");
    }
    std::fs::copy(actor, image.path().join("bin/actor")).expect("there is room");
    Ok(image)
}

fn no_classic_way_leads_out_of_a_foreign_root() -> TestResult {
    require::tracing()?;
    let image = image_with_actor()?;
    let marker = NamedTempFile::new().expect("there is room");
    let path = marker.path().to_string_lossy();
    let root = image.path().to_string_lossy().into_owned();
    let only = ["--grace", "1s", "--only", "ends-within-grace", "--rootfs", &root, "--"];
    // As a CI system may do: the tool inherits a descriptor of the host's root.
    let host = std::fs::File::open("/").expect("there is a root");
    nix::fcntl::fcntl(&host, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).expect("it is open");
    let output = run(&[&["init-check"], &only[..], &["/bin/actor", "escape", "--marker", &path]].concat());
    let said = text(&output);
    let tried: Vec<&str> = said.lines().filter(|line| line.contains("tried way=")).collect();
    assert!(tried.len() >= 20 && said.contains("| ready"), "{said}");
    let out: Vec<_> = tried.iter().filter(|line| !line.ends_with("got=nothing")).collect();
    assert!(out.is_empty(), "{out:#?}");
    assert_eq!(std::fs::read(marker.path()).expect("it is ours"), b"", "{said}");
    Ok(())
}

/// All files below a folder, with what is in them.
fn contents(folder: &Path) -> BTreeSet<(String, Vec<u8>)> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder is ours").flatten() {
        let path = entry.path();
        let name = path.to_string_lossy().into_owned();
        if path.is_symlink() {
            all.insert((name, b"link".to_vec()));
        } else if path.is_dir() {
            all.insert((name, b"folder".to_vec()));
            all.append(&mut contents(&path));
        } else {
            all.insert((name, std::fs::read(&path).expect("the folder is ours")));
        }
    }
    all
}

fn an_image_stays_as_it_was() -> TestResult {
    require::tracing()?;
    require::file_system("overlay")?;
    let image = unpacked_image()?;
    let script = "[ ! -e /left ] || exit 9; echo x >/left && echo y >/bin/sh.new && rm /bin/id && exec sleep 1000";
    let (code, said) = grade(&image, script);
    assert_eq!(code, Some(0), "it can write, and finds nothing of what it wrote before: {said}");
    let before = contents(image.path());
    assert_eq!(grade(&image, script).0, Some(0));
    assert!(contents(image.path()) == before, "{said}");
    assert!(image.path().join("bin/id").exists() && !image.path().join("left").exists());
    Ok(())
}

fn what_a_command_prints_is_bounded_and_harmless() -> TestResult {
    require::tracing()?;
    let image = unpacked_image()?;
    let line = "printf '\\033[2Jcleared\\n::error::injected\\n'; i=0; \
        while [ $i -lt 20000 ]; do echo 'a line that is repeated until it is far too much'; i=$((i+1)); done; \
        echo the end >&2; exec sleep 1000";
    let (code, said) = grade(&image, line);
    assert_eq!(code, Some(0), "who prints much is not held up");
    assert!(said.contains("| ?[2Jcleared\n| ::error::injected\n"), "{}", &said[..said.len().min(400)]);
    assert!(!said.contains('\u{1b}') && said.contains("further output is not shown"));
    assert!(said.len() < 400_000, "{}", said.len());
    Ok(())
}

fn a_fork_bomb_is_bounded_and_leaves_nothing() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    require::pids_controller()?;
    // Both limits bound it: that of the processes, and that of their memory.
    let bomb = "import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
n = 0
try:
    while n < 3000:
        if os.fork() == 0:
            signal.pause()
        n += 1
except OSError:
    print('stopped at', n, flush=True)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
signal.pause()";
    // The bomb takes its time on a busy machine; without `site` each of its processes is half as large.
    let arguments = ["init-check", "--grace", "60s", "--only", "ends-within-grace", "--", "python3", "-IS", "-c", bomb];
    let output = run(&arguments);
    let said = text(&output);
    let stopped =
        said.split_once("stopped at ").and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u32>().ok());
    assert!(stopped.is_some_and(|count| count < 1100), "{stopped:?} {said}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(abandoned_cgroups(), Vec::<PathBuf>::new(), "{said}");
    Ok(())
}

/// The cgroups of graded commands whose maker, whose pid is at the end of their names, is gone: those of other tests that run
/// are not among them, because who makes one removes it before it exits.
fn abandoned_cgroups() -> Vec<PathBuf> {
    let has_no_owner = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let pid = name.strip_prefix("zombie-trace-init-check-");
        pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) && path.exists()
    };
    ["/sys/fs/cgroup", "/sys/fs/cgroup/pids", "/sys/fs/cgroup/memory"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(has_no_owner)
        .collect()
}

fn nothing_is_left_when_the_tool_alone_is_killed() -> TestResult {
    require::tracing()?;
    // A number that no other process sleeps for.
    let seconds = (1_000_000_000 + std::process::id()).to_string();
    let command_line = format!("sleep\0{seconds}\0").into_bytes();
    let sleeps = || {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.filter(|it| std::fs::read(it.path().join("cmdline")).is_ok_and(|it| it == command_line)).count()
    };
    let mut tool = Command::new(binaries::zombie_trace())
        .args(["init-check", "--grace", "600s", "--", "sleep", &seconds])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool can be started");
    assert!(process::eventually(clock::deadline(), || sleeps() > 0), "it is graded");
    tool.kill().expect("it is our child");
    tool.wait().expect("it is our child");
    assert!(process::eventually(clock::deadline(), || sleeps() == 0), "the graded command is left");
    assert!(process::eventually(clock::deadline(), || abandoned_cgroups().is_empty()), "{:?}", abandoned_cgroups());
    Ok(())
}

fn a_graded_server_has_a_loopback_of_its_own() -> TestResult {
    require::tracing()?;
    require::program("python3")?;
    // The port is taken on the host, and below 1024.
    let host = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let port = host.local_addr().expect("it is bound").port();
    let server = format!(
        "import socket, signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); s = socket.socket(); \
         s.bind(('127.0.0.1', {port})); s.listen(); socket.create_connection(('127.0.0.1', {port})); \
         t = socket.socket(); t.bind(('127.0.0.1', 80)); print('bound', flush=True); signal.pause()"
    );
    let output = run(&["init-check", "--grace", "60s", "--only", "ends-within-grace", "--", "python3", "-c", &server]);
    assert!(text(&output).contains("| bound"), "{}", text(&output));
    Ok(())
}
