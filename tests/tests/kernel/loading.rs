//! How the programs are loaded on this kernel: as well as it allows, since what they fall back to is right, but slow.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{Skip, TestResult, Tracer, binaries, clock, require, tests};

pub(crate) fn all() -> Vec<Test> {
    tests![
        fields_are_plain_loads_where_the_verifier_knows_the_types_of_tasks,
        nobody_waits_for_the_detaching_and_nothing_stays_attached,
    ]
}

fn fields_are_plain_loads_where_the_verifier_knows_the_types_of_tasks() -> TestResult {
    require::tracing()?;
    let symbols = fs::read_to_string("/proc/kallsyms").expect("every kernel lists its symbols");
    let has_typed_tasks = symbols.lines().any(|line| line.contains(" bpf_get_current_task_btf"));
    let output =
        Command::new(binaries::zombie_trace()).args(["doctor", "--format", "json"]).output().expect("a doctor");
    let said: Value = serde_json::from_slice(&output.stdout).expect("doctor prints JSON");
    let probes = said["probes"].as_array().expect("doctor lists the probes");
    let hooks: Vec<&str> = probes.iter().filter_map(|probe| probe["hook"].as_str()).collect();
    // It names the hooks of the programs that this kernel's verifier took.
    for name in ["signal_generate", "sched_process_free"] {
        let typed = hooks.contains(&format!("tp_btf/{name}").as_str());
        assert_eq!(typed, has_typed_tasks, "{hooks:?}: {}", reason());
    }
    Ok(())
}

/// The descriptors of a process: what each is, and what the kernel says of it.
fn descriptors(pid: i32) -> Vec<(String, String)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there");
    let of = |fd: &str| {
        let kind = fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok()?.to_string_lossy().into_owned();
        Some((kind, fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?))
    };
    entries.filter_map(|entry| of(entry.ok()?.file_name().to_str()?)).collect()
}

fn field(info: &str, name: &str) -> Option<u32> {
    info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// Whether the kernel has a program of this id.
fn is_loaded(id: u32) -> bool {
    const BPF_PROG_GET_FD_BY_ID: libc::c_int = 13;
    let attributes = [id, 0, 0];
    // SAFETY: attributes of this command, three numbers, of which the last two are not used here.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_GET_FD_BY_ID, attributes.as_ptr(), size_of_val(&attributes)) };
    if let Ok(fd) = i32::try_from(fd)
        && fd >= 0
    {
        // SAFETY: a new descriptor that nobody else has.
        unsafe { libc::close(fd) };
        return true;
    }
    assert_eq!(io::Error::last_os_error().raw_os_error(), Some(libc::ENOENT), "program {id}");
    false
}

fn nobody_waits_for_the_detaching_and_nothing_stays_attached() -> TestResult {
    require::tracing()?;
    if fs::read_to_string("/proc/sys/kernel/io_uring_disabled").is_ok_and(|it| it.trim() != "0") {
        return Err(Skip::new("the machine has io_uring switched off"));
    }
    let tracer = Tracer::live(["--min-age", "0"]).start();
    let held = descriptors(tracer.pid());
    let programs: Vec<u32> = held.iter().filter_map(|(_, info)| field(info, "prog_id:")).collect();
    assert!(programs.len() > 5, "{held:?}");
    // What a ring of io_uring holds, the kernel closes by itself, after the process has ended.
    let links = held.iter().filter(|(kind, _)| ["anon_inode:bpf_link", "anon_inode:[perf_event]"].contains(&&**kind));
    let by_ring: u32 = held.iter().filter_map(|(_, info)| field(info, "UserFiles:")).sum();
    assert_eq!(usize::try_from(by_ring), Ok(links.count()), "{held:?}");
    assert!(by_ring > 0, "{held:?}");
    tracer.stop();
    let began = Instant::now();
    while programs.iter().any(|&id| is_loaded(id)) {
        assert!(began.elapsed() < clock::deadline(), "still loaded: {programs:?}");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// What the loader says of the programs that it did not get loaded.
fn reason() -> String {
    let mut command = Command::new(binaries::zombie_trace());
    let output = command.args(["check", "--", "true"]).env("RUST_LOG", "zombie_trace=debug").output().expect("a check");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().filter(|line| line.contains("by a helper")).collect()
}
