//! `/proc/PID/stat` and `/proc/PID/status` as values.
//!
//! Not the `procfs` crate: it converts names to lossy text, opens every file by its full path (one directory descriptor
//! is faster and safe against pid reuse), and parses some forty unused fields for what may be tens of thousands of
//! processes.

use crate::event::Comm;

/// `PF_KTHREAD`
const KERNEL_THREAD: u64 = 0x20_0000;
/// `PF_EXITING`
const EXITING: u64 = 0x4;

/// The used fields of `/proc/PID/stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Field 2.
    pub(super) comm: Comm,
    /// Field 3.
    pub(super) state: u8,
    /// Field 4.
    pub(super) parent_pid: u32,
    /// From field 9.
    pub(super) is_kernel_thread: bool,
    /// From field 9: it has begun to exit.
    pub(super) is_exiting: bool,
    /// Field 20.
    pub(super) threads: u32,
    /// Field 22, clock ticks.
    pub(super) start_ticks: u64,
    /// Field 52. Zero also without permission.
    pub(super) exit_code: u32,
}

impl Stat {
    /// `None` if this is not a `stat`.
    ///
    /// The name is in parentheses and may contain any byte except NUL: parentheses, spaces, line feeds. Only numbers
    /// follow it, so it ends at the last parenthesis.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let open = text.iter().position(|&byte| byte == b'(')?;
        let close = text.iter().rposition(|&byte| byte == b')')?;
        let name = text.get(open + 1..close)?;
        let mut comm = Comm::default();
        // The kernel's names have 15 bytes. Workers of a workqueue show longer ones, but they are kernel threads.
        let length = name.len().min(comm.len() - 1);
        comm[..length].copy_from_slice(&name[..length]);

        let mut fields = std::str::from_utf8(text.get(close + 1..)?).ok()?.split_ascii_whitespace();
        // `nth` counts from the field after the last one taken.
        let state = *fields.next()?.as_bytes().first()?;
        let parent_pid = fields.next()?.parse().ok()?;
        let flags: u64 = fields.nth(4)?.parse().ok()?;
        let threads = fields.nth(10)?.parse().ok()?;
        let start_ticks = fields.nth(1)?.parse().ok()?;
        let exit_code = fields.nth(29)?.parse().ok()?;
        Some(Self {
            comm,
            state,
            parent_pid,
            is_kernel_thread: flags & KERNEL_THREAD != 0,
            is_exiting: flags & EXITING != 0,
            threads,
            start_ticks,
            exit_code,
        })
    }

    /// Dead and not reaped.
    pub(super) fn is_zombie(&self) -> bool {
        self.state == b'Z'
    }

    /// Reaped and about to disappear (`X`).
    pub(super) fn is_gone(&self) -> bool {
        matches!(self.state, b'X' | b'x')
    }
}

/// The used fields of `/proc/PID/status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) tracer: Option<u32>,
    pub(super) uid: u32,
    pub(super) ns_pids: Vec<u32>,
    /// `SigPnd | ShdPnd`
    pub(super) pending: u64,
    pub(super) blocked: u64,
    pub(super) ignored: u64,
    pub(super) caught: u64,
    /// Voluntary and involuntary context switches.
    pub(super) switches: u64,
}

impl Status {
    /// What is missing stays zero. A hostile name cannot forge a line: the kernel escapes line feeds in `Name`.
    pub(super) fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
            let (key, value) = (&line[..colon], &line[colon + 1..]);
            // All but the name, which is not read, is ASCII.
            let Ok(value) = std::str::from_utf8(value) else { continue };
            let mut numbers = value.split_ascii_whitespace();
            let mask = || u64::from_str_radix(value.trim(), 16).unwrap_or(0);
            match key {
                b"TracerPid" => {
                    status.tracer = numbers.next().and_then(|pid| pid.parse().ok()).filter(|&pid| pid != 0);
                }
                b"Uid" => status.uid = numbers.next().and_then(|uid| uid.parse().ok()).unwrap_or(0),
                b"NSpid" => status.ns_pids = numbers.filter_map(|pid| pid.parse().ok()).collect(),
                b"SigPnd" | b"ShdPnd" => status.pending |= mask(),
                b"SigBlk" => status.blocked = mask(),
                b"SigIgn" => status.ignored = mask(),
                b"SigCgt" => status.caught = mask(),
                b"voluntary_ctxt_switches" | b"nonvoluntary_ctxt_switches" => {
                    status.switches += numbers.next().and_then(|count| count.parse().ok()).unwrap_or(0);
                }
                _ => {}
            }
        }
        status
    }
}

/// `cmdline` split at its NULs, as printable text. `cut`: whether the bytes are truncated.
pub(super) fn arguments(bytes: &[u8], cut: bool) -> Vec<String> {
    let bytes = if cut { bytes } else { bytes.strip_suffix(b"\0").unwrap_or(bytes) };
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|&byte| byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(comm: &[u8]) -> Vec<u8> {
        let mut text = b"4242 (".to_vec();
        text.extend_from_slice(comm);
        text.extend_from_slice(
            b") Z 7 4242 4242 0 -1 4228108 1 2 3 4 5 6 7 8 20 0 3 0 123456 0 0 18446744073709551615 ",
        );
        text.extend_from_slice(b"0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 256\n");
        text
    }

    #[test]
    fn the_fields_of_a_stat_line_are_found() {
        let stat = Stat::parse(&stat(b"sh")).unwrap();
        assert_eq!(&stat.comm[..3], b"sh\0");
        assert!(stat.is_zombie());
        assert_eq!((stat.parent_pid, stat.threads, stat.start_ticks), (7, 3, 123_456));
        assert_eq!(stat.exit_code, 256);
        assert!(!stat.is_kernel_thread);
    }

    #[test]
    fn a_name_that_mimics_the_rest_of_the_line_is_only_a_name() {
        for name in [&b") S 1 1 1 1 1 "[..], b"a) R 1\n2 (x)", b"\xff\xfe)((", b"", b"\x1b[2J", b"((((", b"))))"] {
            let stat = Stat::parse(&stat(name)).unwrap();
            assert_eq!(&stat.comm[..name.len()], name);
            assert_eq!((stat.state, stat.parent_pid, stat.start_ticks), (b'Z', 7, 123_456), "{name:?}");
        }
    }

    #[test]
    fn torn_text_is_no_stat() {
        let whole = stat(b"sh");
        for length in 0..whole.len() - 4 {
            assert_eq!(Stat::parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(Stat::parse(b")("), None);
    }

    #[test]
    fn a_kernel_thread_is_known_by_its_flags() {
        let text = b"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 \
            0 0 0 0 0 0 0 0";
        assert!(Stat::parse(text).unwrap().is_kernel_thread);
    }

    #[test]
    fn status_gives_masks_ids_and_namespace_pids() {
        let status = Status::parse(
            b"Name:\tx\\nUid:\t9\nTracerPid:\t12\nUid:\t1000\t0\t0\t0\nNSpid:\t4242\t17\t1\nSigPnd:\t0000000000000001\n\
              ShdPnd:\t0000000000004000\nSigBlk:\t0000000000010000\nSigIgn:\t0000000000000004\nSigCgt:\tfffffffe00000000\n",
        );
        assert_eq!(status.tracer, Some(12));
        assert_eq!(status.uid, 1000);
        assert_eq!(status.ns_pids, [4242, 17, 1]);
        assert_eq!(status.pending, 0x4001);
        assert_eq!((status.blocked, status.ignored, status.caught), (0x1_0000, 4, 0xffff_fffe_0000_0000));
    }

    #[test]
    fn no_tracer_is_none() {
        assert_eq!(Status::parse(b"TracerPid:\t0\n").tracer, None);
    }

    #[test]
    fn arguments_are_split_at_nul_and_keep_empty_ones() {
        assert_eq!(arguments(b"sh\0-c\0\0x\0", false), ["sh", "-c", "", "x"]);
        assert_eq!(arguments(b"", false), [""; 0]);
        assert_eq!(arguments(b"title without nul", false), ["title without nul"]);
        assert_eq!(arguments(b"a\xff\0", false), ["a\u{fffd}"]);
        assert_eq!(arguments(b"sh\0cut he", true), ["sh", "cut he"]);
    }
}
