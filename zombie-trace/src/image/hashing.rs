//! Reads bytes of others: counted and hashed up to a limit, and decompressed.

use std::io::{self, BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::manifest::Digest;

/// Counts and hashes what is read through it, up to a limit.
pub(super) struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    read: u64,
    limit: u64,
}

impl<R: Read> Hashing<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, hasher: Sha256::new(), read: 0, limit }
    }

    /// Reads the rest, and returns the digest and the size of all.
    pub(super) fn finish(mut self) -> io::Result<(Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((Digest::of(self.hasher), self.read))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.read += count as u64;
        if self.read > self.limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(count)
    }
}

/// Decompresses gzip and Zstandard, told by their first bytes; anything else is handed on.
pub(super) fn plain<'a>(mut reader: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut first = Vec::new();
    reader.by_ref().take(4).read_to_end(&mut first)?;
    let all = io::Cursor::new(first.clone()).chain(reader);
    Ok(match first.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(all))),
        // A frame, or one that is to be skipped and comes first.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Box::new(zstd::stream::read::Decoder::new(all)?),
        _ => Box::new(all),
    })
}
