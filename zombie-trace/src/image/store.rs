//! Images that Docker or Podman have on this machine, by their own clients: `docker image save`.
//!
//! Podman's client needs no daemon. The clients are trusted; what they hand on is not.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use super::{ImageError, Limits, foreign, scratch};
use crate::programs::{INIT_PATHS, base_name};

const CLIENTS: [&str; 2] = ["docker", "podman"];
/// How much of what a client says is shown.
const SAID: u64 = 1000;

/// An archive of this image, and the client that had it.
pub(super) fn save(name: &str, folder: &Path, limits: Limits) -> Result<(File, &'static str), ImageError> {
    let mut why = Vec::new();
    let names = full_names(name);
    for client in CLIENTS {
        let mut said = String::new();
        for name in &names {
            match save_by(client, name, folder, limits)? {
                Ok(file) => return Ok((file, client)),
                Err(words) => said = words,
            }
        }
        why.push(format!("{client}: {said}"));
    }
    Err(ImageError::NotFound { name: foreign(name.as_bytes()), why: why.join("; ") })
}

/// Without a tag Docker saves all that a name has, not the latest as when it runs it. It may also be an id.
fn full_names(name: &str) -> Vec<String> {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { vec![name.to_owned()] } else { vec![format!("{name}:latest"), name.to_owned()] }
}

/// What a client says when it has no such image is no error yet.
fn save_by(client: &str, name: &str, folder: &Path, limits: Limits) -> Result<Result<File, String>, ImageError> {
    let failed = || ImageError::io(format!("{client} cannot be asked"));
    let said = tempfile::tempfile_in(folder).map_err(failed())?;
    let child = Command::new(client)
        .args(["image", "save", name])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said.try_clone().map_err(failed())?)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let saved = child.stdout.take().map(|out| scratch::spool(out, folder, limits));
    if !matches!(saved, Some(Ok(_))) {
        // It has more to write than is read.
        let _ = child.kill();
    }
    let status = child.wait().map_err(failed())?;
    match saved {
        Some(Ok(file)) if status.success() => Ok(Ok(file)),
        Some(Err(error)) => Err(error),
        _ => Ok(Err(words(said, status))),
    }
}

fn words(mut said: File, status: std::process::ExitStatus) -> String {
    use std::io::{Seek, SeekFrom};
    let mut bytes = Vec::new();
    let read = said.seek(SeekFrom::Start(0)).and_then(|_| said.take(SAID).read_to_end(&mut bytes));
    let text = foreign(bytes.trim_ascii());
    if read.is_err() || text.is_empty() { status.to_string() } else { text }
}

/// Inits that may need no libraries, the preferred ones first.
const INITS: [&str; 3] = ["docker-init", "catatonit", "tini-static"];
/// Where distributions keep them besides [`INIT_PATHS`].
const PLACES: [&str; 4] =
    ["/usr/libexec/docker/docker-init", "/usr/local/bin/docker-init", "/usr/sbin/docker-init", "/sbin/tini-static"];

/// The init that `docker run --init` would put in front.
pub(super) fn init() -> Result<Vec<u8>, ImageError> {
    let paths = || PLACES.iter().chain(&INIT_PATHS);
    let candidates = INITS.iter().flat_map(|name| paths().filter(move |path| base_name(path) == *name));
    let found = candidates.filter_map(|path| fs::read(path).ok()).find(|bytes| is_static(bytes));
    found.ok_or_else(|| {
        ImageError::invalid(
            "--init needs a static docker-init, tini-static or catatonit, and this machine has none of them",
        )
    })
}

/// Whether a 64-bit ELF file has no interpreter (elf(5), `PT_INTERP`).
fn is_static(bytes: &[u8]) -> bool {
    const PT_INTERP: u32 = 3;
    let number = |at: usize, size: usize| {
        let field = bytes.get(at..at.checked_add(size)?)?;
        Some(field.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    let read = || {
        if bytes.get(..5)? != b"\x7fELF\x02" {
            return None;
        }
        let (at, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        let kinds = (0..count).map(|index| number(usize::try_from(at.checked_add(index * size)?).ok()?, 4));
        let kinds: Option<Vec<u64>> = kinds.collect();
        Some(!kinds?.contains(&u64::from(PT_INTERP)))
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        assert_eq!(full_names("host:5000/web"), ["host:5000/web:latest", "host:5000/web"]);
        assert_eq!(full_names("web:1"), ["web:1"]);
        assert_eq!(full_names("web@sha256:0"), ["web@sha256:0"]);
    }

    #[test]
    fn a_program_with_libraries_is_no_init_for_any_image() {
        // The tests themselves are linked to the C library.
        assert!(!is_static(&fs::read("/proc/self/exe").unwrap()));
        assert!(!is_static(b"#!/bin/sh\n") && !is_static(b"\x7fELF\x02"));
        let mut plain = vec![0; 120];
        plain[..5].copy_from_slice(b"\x7fELF\x02");
        (plain[32], plain[54], plain[56], plain[64]) = (64, 56, 1, 1);
        assert!(is_static(&plain));
        plain[64] = 3;
        assert!(!is_static(&plain));
    }
}
