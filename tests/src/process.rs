//! Reads /proc, to check the actors and the tracer.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// A clock tick of `/proc`: a hundredth of a second wherever these tests run (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;

/// The fields of `/proc/PID/stat` that the tests look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The name, as it is.
    pub comm: Vec<u8>,
    /// `Z` is a zombie.
    pub state: char,
    /// The parent's pid.
    pub ppid: i32,
    /// User and system time used, in clock ticks.
    pub ticks: u64,
    /// When it began, on the boot clock, rounded down to a tick, in ns.
    pub start_ns: u64,
    /// The exit status as wait gives it; 0 while the process lives.
    pub exit_code: i32,
}

/// Reads `/proc/PID/stat`; none if there is no such process.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &[u8]) -> Option<Stat> {
    // The name may contain anything, also parentheses: it ends at the last one.
    let open = text.iter().position(|&byte| byte == b'(')?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
    // The state is field 3.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    Some(Stat {
        comm: text.get(open + 1..close)?.to_owned(),
        state: field(3)?.chars().next()?,
        ppid: field(4)?.parse().ok()?,
        ticks: field(14)?.parse::<u64>().ok()? + field(15)?.parse::<u64>().ok()?,
        start_ns: field(22)?.parse::<u64>().ok()? * TICK_NS,
        exit_code: field(52)?.parse().ok()?,
    })
}

/// The children of all threads of a process. The kernel has to list them (`CONFIG_PROC_CHILDREN`).
pub fn children(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|child| child.parse().ok()).collect::<Vec<_>>()).collect()
}

/// Whether a process below this one has this name now.
pub fn has_descendant(pid: i32, comm: &[u8]) -> bool {
    children(pid).into_iter().any(|child| stat(child).is_some_and(|it| it.comm == comm) || has_descendant(child, comm))
}

/// The inode of the process's pid namespace, as `pid_ns` in the machine output.
pub fn pid_namespace(pid: i32) -> Option<u64> {
    Some(std::fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino())
}

/// The numbers of the process in its pid namespaces, from the one of /proc inwards.
pub fn namespace_pids(pid: i32) -> Vec<i32> {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Polls until the condition holds, up to a limit; for states without notification. False if it did not hold in time.
pub fn eventually(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    while !so() {
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_move_the_fields() {
        let mut line = b"42 (a) Z 1 (b) Z 7".to_vec();
        // Fields 5 to 51, of which the 14th and 15th are the times.
        for field in 5..=51 {
            line.extend_from_slice(format!(" {field}").as_bytes());
        }
        line.extend_from_slice(b" 256\n");
        let stat = parse_stat(&line).unwrap();
        let expected = Stat {
            comm: b"a) Z 1 (b".to_vec(),
            state: 'Z',
            ppid: 7,
            ticks: 14 + 15,
            start_ns: 220_000_000,
            exit_code: 256,
        };
        assert_eq!(stat, expected);
    }

    #[test]
    fn the_own_process_is_alive_and_in_a_namespace() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert_ne!(stat(pid).unwrap().state, 'Z');
        assert!(pid_namespace(pid).is_some());
        assert_eq!(namespace_pids(pid).first(), Some(&pid));
    }
}
