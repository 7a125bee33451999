//! Frames of a recording, with checksums that fit whatever is in them. The fuzz targets make theirs so, too.

use std::io::Write;

fn packed(body: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("zstd works");
    encoder.window_log(window_log).expect("zstd has such a window");
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("it is written to memory")
}

/// A frame of any content.
pub(crate) fn frame(kind: u16, body: &[u8], window_log: u32) -> Vec<u8> {
    let stored = packed(body, window_log);
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("frames are short").to_le_bytes();
    let mut head = b"\x5a\x2a\x4d\x18\x30\0\0\0\xb7ztrec\r\n".to_vec();
    head.extend(2_u16.to_le_bytes());
    head.extend(kind.to_le_bytes());
    head.extend(length(&stored));
    head.extend(length(body));
    head.extend(crc32fast::hash(&stored).to_le_bytes());
    head.extend([0; 8 + 8 + 4]);
    head.extend(crc32fast::hash(&head).to_le_bytes());
    [head, stored].concat()
}
