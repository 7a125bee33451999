//! Damaged input: it is named, passed over where possible, and the exit code says whether anything was measured.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use zombie_trace_tests::runner::Test;
use zombie_trace_tests::{TestResult, tests};

use super::{Said, fixture, fixtures, run};

pub(crate) fn all() -> Vec<Test> {
    tests![
        every_format_is_read_for_ever,
        a_later_format_is_refused_with_those_that_are_read,
        a_torn_tail_costs_the_tail,
        flipped_bits_cost_their_frame,
        a_length_of_four_gibibytes_is_not_believed,
        what_is_no_recording_is_named_and_exits_with_3,
        the_rest_is_read_beside_what_is_none,
        export_takes_damage_as_report_does,
        what_cannot_be_read_is_lost_and_is_no_clean_result,
    ]
}

/// Length of the head of a frame, and where in it the fields are that are forged here.
const HEAD: usize = 56;
const FORMAT: usize = 16;
const STORED: usize = 20;

/// The checksum of a head: CRC-32 as zlib has it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

fn heads(bytes: &[u8]) -> Vec<usize> {
    let marker = &bytes[..FORMAT];
    (0..bytes.len() - HEAD).filter(|&at| bytes[at..].starts_with(marker)).collect()
}

/// Changes a field of a head so that its checksum fits.
fn forge(bytes: &mut [u8], head: usize, at: usize, value: &[u8]) {
    bytes[head + at..head + at + value.len()].copy_from_slice(value);
    let crc = crc32(&bytes[head..head + HEAD - 4]);
    bytes[head + HEAD - 4..head + HEAD].copy_from_slice(&crc.to_le_bytes());
}

fn recorded() -> Vec<u8> {
    fs::read(fixture()).expect("the fixture is there")
}

fn report_on(bytes: &[u8]) -> Said {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    fs::write(&path, bytes).expect("the folder is ours");
    run(&["report", "--min-age", "500ms"], &[&path])
}

/// Of format 2 is a recording of Linux 6.12 with fentry: a reap by io_uring, one of a dying PID 1, and a late one by wait4.
fn every_format_is_read_for_ever() -> TestResult {
    for format in [1, 2] {
        let [recording, expected] = ["zt", "json"].map(|suffix| fixtures().join(format!("format-{format}.{suffix}")));
        let expected = fs::read_to_string(expected).expect("the report is kept beside it");
        let said = run(&["report", "--format", "json", "--min-age", "500ms"], &[&recording]);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""), "{format}");
        assert_eq!(parse(&said.stdout), parse(&expected), "{format}");
    }
    Ok(())
}

fn a_later_format_is_refused_with_those_that_are_read() -> TestResult {
    let mut bytes = recorded();
    for head in heads(&bytes) {
        forge(&mut bytes, head, FORMAT, &99_u16.to_le_bytes());
    }
    let said = report_on(&bytes);
    assert_eq!((said.code, said.stdout.as_str()), (Some(3), ""));
    assert!(said.stderr.contains("it has format 99; this zombie-trace reads 1 to 4"), "{}", said.stderr);
    Ok(())
}

fn a_torn_tail_costs_the_tail() -> TestResult {
    let bytes = recorded();
    let said = report_on(&bytes[..bytes.len() - 10]);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    assert!(said.stderr.contains("frame is truncated"), "{}", said.stderr);
    assert!(said.stdout.contains("SIGTERM"), "{}", said.stdout);
    // Within the header there is nothing else to go by.
    let said = report_on(&bytes[..HEAD + 5]);
    assert_eq!((said.code, said.stdout.as_str()), (Some(3), ""));
    assert!(said.stderr.contains("no intact header found"), "{}", said.stderr);
    Ok(())
}

fn flipped_bits_cost_their_frame() -> TestResult {
    let mut bytes = recorded();
    let heads = heads(&bytes);
    assert!(heads.len() > 4, "{heads:?}");
    bytes[heads[2] + HEAD + 20] ^= 0x10;
    let said = report_on(&bytes);
    assert!(said.stderr.contains("frame body is corrupt"), "{}", said.stderr);
    assert!(said.stderr.contains(&format!("byte {}", heads[2])), "{}", said.stderr);
    assert!(said.stdout.contains("findings"), "{}", said.stdout);
    assert_eq!(said.code, Some(1), "{}", said.stderr);
    Ok(())
}

fn a_length_of_four_gibibytes_is_not_believed() -> TestResult {
    let mut bytes = recorded();
    let second = heads(&bytes)[1];
    forge(&mut bytes, second, STORED, &u32::MAX.to_le_bytes());
    let said = report_on(&bytes);
    assert!(said.stderr.contains("frame claims 4294967295 bytes"), "{}", said.stderr);
    assert!(matches!(said.code, Some(1 | 3)), "{:?} {}", said.code, said.stderr);
    Ok(())
}

fn what_is_no_recording_is_named_and_exits_with_3() -> TestResult {
    let folder = TempDir::new().expect("there is room for a folder");
    let path = |name: &str, content: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("the folder is ours");
        path
    };
    let mut noise = 1_u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (noise >> 40) as u8
    })
    .take(200_000)
    .collect();
    for (path, why) in [
        (path("empty", b""), "empty file"),
        (path("random", &random), "not a zombie-trace recording"),
        (path("text", b"hello\n"), "not a zombie-trace recording"),
        (folder.path().to_owned(), "not a regular file"),
        (folder.path().join("none"), "No such file"),
        (path("esc\u{1b}[2J", b""), "esc\\x1b[2J: empty file"),
    ] {
        let said = run(&["report"], &[&path]);
        assert_eq!((said.code, said.stdout.as_str()), (Some(3), ""), "{}", path.display());
        assert!(said.stderr.contains(why), "{}: {}", path.display(), said.stderr);
        assert_eq!(said.stderr.lines().count(), 1, "{}", said.stderr);
    }
    Ok(())
}

fn the_rest_is_read_beside_what_is_none() -> TestResult {
    let said =
        run(&["report", "--min-age", "1h", "--until", "2000-01-01T00:00:00Z"], &["/no/such/file".as_ref(), &fixture()]);
    assert!(said.stderr.contains("/no/such/file"), "{}", said.stderr);
    assert!(said.stdout.contains("no findings"), "{}", said.stdout);
    assert_eq!(said.code, Some(3), "nothing was found, but not everything was read");
    Ok(())
}

fn export_takes_damage_as_report_does() -> TestResult {
    let folder = TempDir::new().expect("there is room for a folder");
    let tables = folder.path().join("tables").to_string_lossy().into_owned();
    let said = run(&["export", "-o", &tables], &["/no/such/file".as_ref(), &fixture()]);
    assert_eq!(said.code, Some(3), "{}", said.stderr);
    assert!(said.stderr.contains("/no/such/file") && said.stderr.contains("one boot of one host"), "{}", said.stderr);
    let said = run(&["export", "-o", &tables], &["/no/such/file".as_ref()]);
    assert_eq!(said.code, Some(3), "{}", said.stderr);
    Ok(())
}

/// Without findings, a result over something unread is no result; with them, the loss is said.
fn what_cannot_be_read_is_lost_and_is_no_clean_result() -> TestResult {
    let mut bytes = recorded();
    let heads = heads(&bytes);
    // The last batch: nothing comes after it that would count what it had.
    let last = heads[heads.len() - 2];
    bytes[last + HEAD + 20] ^= 0x10;
    let folder = TempDir::new().expect("there is room for a folder");
    let path = folder.path().join("trace.zt");
    fs::write(&path, &bytes).expect("the folder is ours");
    let said = run(&["report", "--format", "json", "--min-age", "500ms"], &[&path]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert!(report["loss"]["events"].as_u64() > Some(0), "{report}");
    // Nothing is found by an age that no zombie reached, and in no container of this name.
    let nothing = ["report", "--min-age", "1h", "--container", "none"];
    assert_eq!(run(&nothing, &[&fixture()]).code, Some(0));
    let said = run(&nothing, &[&path]);
    assert_eq!(said.code, Some(3), "{} {}", said.stdout, said.stderr);
    assert!(said.stderr.contains("missing") && !said.stdout.contains("found;"), "{} {}", said.stdout, said.stderr);
    let said = run(&["check", "--recording"], &[&path]);
    assert_ne!(said.code, Some(0), "{} {}", said.stdout, said.stderr);
    let tables = folder.path().join("tables").to_string_lossy().into_owned();
    assert_eq!(run(&["export", "-o", &tables], &[&path]).code, Some(3));
    Ok(())
}
