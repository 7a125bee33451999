//! Least privilege: what each command does with few capabilities and without each of them, as `docs/security.md` says.
//!
//! The table there is read, and every cell of it is tried: what the page promises and what the tool does cannot differ.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::libc;
use nix::unistd::{Gid, Group, chown};
use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, binaries, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        each_command_does_without_each_capability_what_the_table_says,
        a_group_of_users_traces_by_file_capabilities,
        what_a_user_starts_has_no_capabilities_of_the_file,
    ]
}

/// Those that change a setting of the machine.
pub(crate) fn of_machine() -> Vec<Test> {
    tests![
        perf_event_paranoid_lowered_each_command_does_what_the_table_says,
        perf_event_paranoid_raised_is_named_where_it_forbids_to_attach,
    ]
}

const NOBODY: u32 = 65_534;
/// By number (`include/uapi/linux/capability.h`), as `docs/security.md` names them.
const NUMBERS: [(&str, u8); 9] = [
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_KILL", 5),
    ("CAP_SETPCAP", 8),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_SYS_RESOURCE", 24),
    ("CAP_PERFMON", 38),
    ("CAP_BPF", 39),
];
const CAP_LAST: u8 = 63;

/// A row of the table: what is missing, what `doctor` says then, and what becomes of each command.
struct Row {
    capability: String,
    words: Option<String>,
    outcomes: Vec<(String, String)>,
}

/// The table below this heading of the page.
fn table(heading: &str) -> Vec<Row> {
    let page = include_str!("../../../zombie-trace/docs/security.md");
    let mut lines = page.lines().skip_while(|line| *line != heading);
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
    };
    let columns = cells(lines.find(|line| line.starts_with("| ")).expect("there is a table"));
    let rows = lines.skip(1).take_while(|line| line.starts_with("| ")).map(|line| {
        let cells = cells(line);
        assert_eq!(cells.len(), columns.len(), "{line}");
        let words = Some(cells[1].clone()).filter(|words| words != "–");
        let outcomes = columns[2..].iter().cloned().zip(cells[2..].iter().cloned()).collect();
        Row { capability: cells[0].clone(), words, outcomes }
    });
    rows.collect()
}

/// Leaves a command only these capabilities, which root has when it starts a program.
fn with_only(command: &mut Command, kept: &[&str]) {
    let number = |name: &&str| NUMBERS.iter().find(|(it, _)| it == name).expect("a number is known for it").1;
    let kept: Vec<u8> = kept.iter().map(number).collect();
    let drop = move || {
        for capability in (0..=CAP_LAST).filter(|it| !kept.contains(it)) {
            // Those that this kernel does not have are not there to be dropped.
            // SAFETY: the call takes numbers alone.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(drop) };
}

/// `kernel.perf_event_paranoid`, put back as it was on drop.
pub(super) struct Paranoid(String);

impl Paranoid {
    const FILE: &str = "/proc/sys/kernel/perf_event_paranoid";

    fn value() -> String {
        fs::read_to_string(Self::FILE).expect("every kernel with BPF has it")
    }

    /// At most 2. Above that, Debian's kernels attach to tracepoints for CAP_SYS_ADMIN alone.
    fn is_usual() -> bool {
        Self::value().trim().parse::<i32>().expect("a number") <= 2
    }

    pub(super) fn require_usual() -> Result<(), Skip> {
        let why = "kernel.perf_event_paranoid is above 2, where some kernels ask for CAP_SYS_ADMIN";
        if Self::is_usual() { Ok(()) } else { Err(Skip::new(why)) }
    }

    fn set(value: &str) -> Result<Self, Skip> {
        require::own_machine()?;
        let before = Self(Self::value());
        fs::write(Self::FILE, value).expect("root may");
        Ok(before)
    }
}

impl Drop for Paranoid {
    fn drop(&mut self) {
        if let Err(error) = fs::write(Self::FILE, &self.0) {
            eprintln!("{}: {error}", Self::FILE);
        }
    }
}

fn perf_event_paranoid_lowered_each_command_does_what_the_table_says() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    if Paranoid::is_usual() {
        return Err(Skip::new("kernel.perf_event_paranoid is low already, as another test has it"));
    }
    let _setting = Paranoid::set("2")?;
    each_command_does_without_each_capability_what_the_table_says()
}

/// Kernels without that level attach all the same.
fn perf_event_paranoid_raised_is_named_where_it_forbids_to_attach() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    let _setting = Paranoid::set("3")?;
    let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
    let kept: Vec<&str> =
        ["CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH", "CAP_SYS_RESOURCE"].to_vec();
    for arguments in [&["doctor"][..], arguments("live")] {
        let output = run(arguments, folder.path(), &kept);
        let refused = output.status.code() == Some(3);
        let names = said(&output).contains("sysctl kernel.perf_event_paranoid=2");
        assert_eq!(refused, names, "{arguments:?}: {}", said(&output));
        let with_admin = run(arguments, folder.path(), &[&kept[..], &["CAP_SYS_ADMIN"]].concat());
        assert!(matches!(with_admin.status.code(), Some(0 | 1)), "{arguments:?}: {}", said(&with_admin));
    }
    Ok(())
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn run(arguments: &[&str], folder: &Path, kept: &[&str]) -> Output {
    let mut command = Command::new(binaries::zombie_trace());
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    with_only(&mut command, kept);
    command.output().expect("the tool can be started")
}

/// The arguments of a command that is over soon.
fn arguments(command: &str) -> &'static [&'static str] {
    match command {
        "live" => &["live", "--for", "300ms", "--format", "json"],
        "record" => &["record", "--for", "300ms", "--overwrite", "-o", "trace.zt"],
        "check" => &["check", "--min-age", "60s", "--", "true"],
        "scan" => &["scan", "--format", "json"],
        "init-check" => {
            &["init-check", "--only", "ends-within-grace", "--", "sh", "-c", "trap 'exit 0' TERM; sleep 60 & wait"]
        }
        other => panic!("no such command: {other}"),
    }
}

fn each_command_does_without_each_capability_what_the_table_says() -> TestResult {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    Paranoid::require_usual()?;
    let folder = tempfile::TempDir::new().expect("the temporary folder can be written");
    let also = of_old_kernels();
    for heading in ["### To trace", "### To grade"] {
        let rows = table(heading);
        let all: Vec<&str> = rows
            .iter()
            .map(|row| row.capability.as_str())
            .filter(|it| it.starts_with("CAP_"))
            .chain(also.iter().copied())
            .collect();
        assert!(rows.len() >= 4, "{heading} has only {} rows", rows.len());
        for Row { capability, words, outcomes } in &rows {
            let kept: Vec<&str> = all.iter().copied().filter(|it| it != capability).collect();
            let doctor = run(&["doctor"], folder.path(), &kept);
            // Lines are broken to fit, and indented.
            let doctor = said(&doctor).split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some(words) = words {
                assert!(doctor.contains(words), "without {capability} doctor does not say {words:?}: {doctor}");
            }
            for (command, outcome) in outcomes {
                let output = run(arguments(command), folder.path(), &kept);
                let said = said(&output);
                let codes: &[i32] = match outcome.as_str() {
                    "works" | "less" => &[0, 1],
                    "refuses" => &[3],
                    other => panic!("{other:?} is no outcome"),
                };
                let is_so = output.status.code().is_some_and(|code| codes.contains(&code));
                assert!(is_so, "without {capability} {command} {outcome}: {}: {said}", output.status);
                match outcome.as_str() {
                    // `doctor` may name others that would do instead.
                    "refuses" => {
                        let names =
                            [Some(capability), words.as_ref()].into_iter().flatten().any(|it| said.contains(it));
                        assert!(names, "{command} does not say that it lacks {capability}: {said}");
                    }
                    "less" => assert!(said.contains("could not read"), "{command} does not say what it misses: {said}"),
                    _ => assert!(!said.contains("panicked"), "{command}: {said}"),
                }
            }
        }
    }
    Ok(())
}

/// What old kernels also ask for: before 5.11 BPF maps count as locked memory, for which `doctor` has a check there.
fn of_old_kernels() -> &'static [&'static str] {
    let output =
        Command::new(binaries::zombie_trace()).args(["doctor", "--format", "json"]).output().expect("it starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("doctor prints JSON");
    let mut checks = report["checks"].as_array().expect("there are checks").iter();
    let is_old = checks.any(|check| check["name"] == "locked memory");
    if is_old { &["CAP_SYS_RESOURCE"] } else { &[] }
}

/// A copy that a group may run, with these file capabilities; `None` if the file system keeps none.
fn copy_for_group(folder: &Path, capabilities: &str) -> Option<PathBuf> {
    let copy = folder.join("zombie-trace");
    fs::copy(binaries::zombie_trace(), &copy).expect("there is room");
    let group = Group::from_gid(Gid::from_raw(NOBODY)).ok().flatten().map_or(Gid::from_raw(NOBODY), |it| it.gid);
    chown(&copy, None, Some(group)).expect("root may");
    let mode = Command::new("chmod").arg("750").arg(&copy).status().expect("chmod can be started");
    assert!(mode.success());
    let set = Command::new("setcap").arg(capabilities).arg(&copy).output().expect("setcap can be started");
    let refused = String::from_utf8_lossy(&set.stderr).into_owned();
    if refused.contains("not supported") {
        return None;
    }
    assert!(set.status.success(), "{refused}");
    Some(copy)
}

/// The capabilities that the page says to give to a file.
fn documented_file_capabilities() -> String {
    let page = include_str!("../../../zombie-trace/docs/security.md");
    let line = page.lines().find_map(|line| line.strip_prefix("setcap ")).expect("the page shows setcap");
    line.split(' ').next().expect("a word").to_owned()
}

fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.uid(NOBODY).gid(NOBODY).current_dir(folder).stdin(Stdio::null());
    command
}

/// A folder that an ordinary user may enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir();
    folder.expect("the temporary folder can be written")
}

/// A copy that a group may run, with the file capabilities of the page, where they are enough to trace.
fn copy_as_documented(folder: &Path) -> Result<PathBuf, Skip> {
    require::tracing()?;
    require::no_confidential_lockdown()?;
    require::program("setcap")?;
    Paranoid::require_usual()?;
    let copy = copy_for_group(folder, &documented_file_capabilities());
    copy.ok_or_else(|| Skip::new("the file system keeps no capabilities of files"))
}

fn a_group_of_users_traces_by_file_capabilities() -> TestResult {
    let folder = open_folder();
    let copy = copy_as_documented(folder.path())?;
    let output = as_user(&copy, folder.path()).args(["doctor", "--format", "json"]).output().expect("it starts");
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
    let checks = report["checks"].as_array().expect("there are checks");
    let privileges = checks.iter().find(|check| check["name"] == "privileges").expect("one is on privileges");
    assert_eq!(privileges["status"], "ok", "{privileges}");
    assert_ne!(report["verdict"], "failed", "{report}");

    // The parent never waits, so there is something to be found; and it is the user's own.
    let mut live = as_user(&copy, folder.path());
    live.args(["live", "--format", "json", "--min-age", "200ms", "--for", "3s", "--"]);
    live.args(["sh", "-c", "sleep 0.1 & exec sleep 2"]);
    let output = live.output().expect("it starts");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let zombie =
        lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|it| it["type"] == "zombie");
    let zombie = zombie.unwrap_or_else(|| panic!("no zombie: {}", said(&output)));
    assert_eq!(zombie["parent"]["comm"], "sleep", "{zombie}");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    Ok(())
}

/// `CAP_DAC_READ_SEARCH` for every user's commands would be root's eyes for everybody.
fn what_a_user_starts_has_no_capabilities_of_the_file() -> TestResult {
    let folder = open_folder();
    let copy = copy_as_documented(folder.path())?;
    let mut check = as_user(&copy, folder.path());
    check.args(["check", "--min-age", "60s", "--", "sh", "-c", "grep -E '^Cap(Eff|Prm|Amb)' /proc/self/status"]);
    let output = check.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let sets: Vec<&str> = text.lines().filter(|line| line.starts_with("Cap")).collect();
    assert_eq!(sets.len(), 3, "{}", said(&output));
    assert!(sets.iter().all(|set| set.ends_with("\t0000000000000000")), "{sets:?}");
    Ok(())
}
