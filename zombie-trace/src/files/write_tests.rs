//! Writing files: nothing is followed, nothing is left behind, and streams work.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
    thread,
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::write::{Access, Draft, Existing, WriteError, append, stream};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn private(path: &Path) -> Result<Draft, WriteError> {
    Draft::begin(path, Access::Private, Existing::Replace)
}

fn entries(folder: &TempDir) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

#[track_caller]
fn write(draft: Draft, text: &str) -> Result<(), WriteError> {
    draft.writer().unwrap().write_all(text.as_bytes()).unwrap();
    draft.complete()
}

#[test]
fn a_file_is_there_as_a_whole_or_not_at_all() {
    let folder = folder();
    let path = folder.path().join("report.html");
    fs::write(&path, "former").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let abandoned = private(&path).unwrap();
    abandoned.writer().unwrap().write_all(b"half").unwrap();
    drop(abandoned);
    assert_eq!(fs::read(&path).unwrap(), b"former");
    write(private(&path).unwrap(), "whole").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"whole");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    assert_eq!(entries(&folder), 1);
}

#[test]
fn a_name_of_the_greatest_length_can_be_written() {
    let folder = folder();
    let path = folder.path().join("ä".repeat(127));
    write(private(&path).unwrap(), "x").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[test]
fn links_folders_and_sockets_are_refused() {
    let folder = folder();
    let (target, link, dangling) =
        (folder.path().join("target"), folder.path().join("link"), folder.path().join("dangling"));
    fs::write(&target, "precious").unwrap();
    symlink(&target, &link).unwrap();
    symlink(folder.path().join("new"), &dangling).unwrap();
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for refused in [&link, &dangling, &socket, &folder.path().to_owned()] {
        assert!(matches!(private(refused), Err(WriteError::Refused { .. })), "{}", refused.display());
        assert!(stream(refused, Access::Private).is_err(), "{}", refused.display());
    }
    assert!(matches!(append(&link), Err(WriteError::Refused { what: "a symbolic link", .. })));
    assert!(matches!(private(Path::new("/")), Err(WriteError::NoName(_))));
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(!folder.path().join("new").exists());
}

#[test]
fn a_link_that_appears_meanwhile_is_replaced_and_not_followed() {
    let folder = folder();
    let (target, path) = (folder.path().join("target"), folder.path().join("junit.xml"));
    fs::write(&target, "precious").unwrap();
    let draft = private(&path).unwrap();
    symlink(&target, &path).unwrap();
    write(draft, "verdict").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"precious");
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert_eq!(fs::read(&path).unwrap(), b"verdict");
}

#[test]
fn a_folder_that_is_exchanged_meanwhile_receives_nothing() {
    let folder = folder();
    let (out, aside, elsewhere) = (folder.path().join("out"), folder.path().join("aside"), folder.path().join("etc"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    let draft = private(&out.join("x")).unwrap();
    fs::rename(&out, &aside).unwrap();
    symlink(&elsewhere, &out).unwrap();
    write(draft, "verdict").unwrap();
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    assert_eq!(fs::read(aside.join("x")).unwrap(), b"verdict");
}

#[test]
fn a_draft_that_is_exchanged_is_not_published() {
    let folder = folder();
    let path = folder.path().join("x");
    let draft = private(&path).unwrap();
    let partial = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&partial).unwrap();
    symlink("/etc/passwd", &partial).unwrap();
    assert!(matches!(write(draft, "verdict"), Err(WriteError::Refused { .. })));
    assert!(fs::symlink_metadata(&path).is_err());
}

#[test]
fn what_is_to_be_kept_is_kept_also_if_it_appears_late() {
    let folder = folder();
    let path = folder.path().join("x");
    let late = Draft::begin(&path, Access::Private, Existing::Keep).unwrap();
    fs::write(&path, "former").unwrap();
    assert!(matches!(write(late, "new"), Err(WriteError::Exists(_))));
    assert!(matches!(Draft::begin(&path, Access::Private, Existing::Keep), Err(WriteError::Exists(_))));
    assert_eq!(fs::read(&path).unwrap(), b"former");
    assert_eq!(entries(&folder), 1);
}

#[test]
fn another_name_of_the_same_file_keeps_its_content() {
    let folder = folder();
    let (precious, path) = (folder.path().join("precious"), folder.path().join("live.out"));
    fs::write(&precious, "precious").unwrap();
    fs::hard_link(&precious, &path).unwrap();
    stream(&path, Access::Private).unwrap().write_all(b"events").unwrap();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    assert_eq!(fs::read(&path).unwrap(), b"events");
}

#[test]
fn a_stream_has_its_name_while_it_is_written() {
    let folder = folder();
    let path = folder.path().join("live.out");
    fs::write(&path, "former").unwrap();
    let mut file = stream(&path, Access::Private).unwrap();
    file.write_all(b"event").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"event");
    assert_eq!(entries(&folder), 1);
}

#[test]
fn a_pipe_is_written_to_as_it_is() {
    let folder = folder();
    let path = folder.path().join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let reading = path.clone();
    let reader = thread::spawn(move || fs::read(reading).unwrap());
    write(private(&path).unwrap(), "verdict").unwrap();
    assert_eq!(reader.join().unwrap(), b"verdict");
    assert!(!fs::metadata(&path).unwrap().is_file());
}

#[test]
fn a_device_is_written_to_as_it_is() {
    write(private(Path::new("/dev/null")).unwrap(), "verdict").unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn descriptors_are_those_that_were_handed_to_the_program() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let path = format!("/dev/fd/{}", writer.as_raw_fd());
    assert!(matches!(private(Path::new(&path)), Err(WriteError::NoDescriptor(_))), "it is our own");
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
    write(private(Path::new(&path)).unwrap(), "verdict").unwrap();
    let unreadable = format!("/proc/self/fd/{}", reader.as_raw_fd());
    assert!(matches!(private(Path::new(&unreadable)), Err(WriteError::NoDescriptor(_))), "only for reading");
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "verdict");
    for wrong in ["/dev/fd/99999", "/dev/fd/99999999999"] {
        assert!(matches!(private(Path::new(wrong)), Err(WriteError::NoDescriptor(_))), "{wrong}");
    }
    assert!(private(Path::new("/dev/stdout")).is_ok() && private(Path::new("-")).is_ok());
}

#[test]
fn an_appended_file_is_a_regular_one() {
    let folder = folder();
    let path = folder.path().join("summary");
    append(&path).unwrap().write_all(b"a").unwrap();
    append(&path).unwrap().write_all(b"b").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"ab");
    let fifo = folder.path().join("fifo");
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(append(&fifo).is_err());
}
