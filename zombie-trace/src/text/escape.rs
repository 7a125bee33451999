//! Text from traced processes is hostile: it is escaped wherever it is shown.

use std::borrow::Cow;

/// A process name up to its NUL, escaped (see [`text`]).
#[must_use]
pub fn comm(comm: &[u8]) -> Cow<'_, str> {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    text(comm.get(..end).unwrap_or_default())
}

/// Bytes made safe for a terminal, a log and a line: printable Unicode stays, control characters, line and paragraph
/// separators and characters that change the text direction become `\n`, `\x1b` or `\u{202e}`, and bytes that are not
/// UTF-8 become `\xff`. A backslash is doubled, so that an escape cannot be forged.
#[must_use]
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(valid) = std::str::from_utf8(bytes)
        && !valid.chars().any(must_escape)
    {
        return Cow::Borrowed(valid);
    }
    let mut safe = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => safe.push_str("\\n"),
                '\t' => safe.push_str("\\t"),
                '\r' => safe.push_str("\\r"),
                '\\' => safe.push_str("\\\\"),
                _ if !must_escape(character) => safe.push(character),
                _ if character.is_ascii() => safe.push_str(&format!("\\x{:02x}", u32::from(character))),
                _ => safe.push_str(&format!("\\u{{{:x}}}", u32::from(character))),
            }
        }
        for byte in chunk.invalid() {
            safe.push_str(&format!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(safe)
}

fn must_escape(character: char) -> bool {
    character == '\\'
        || character.is_control()
        || matches!(
            character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(text(b"\x1b[2Jgone\n"), "\\x1b[2Jgone\\n");
        assert_eq!(text("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(text(b"\xff\xfe ok"), "\\xff\\xfe ok");
        assert_eq!(text(b"a\\nb"), "a\\\\nb");
        assert_eq!(text("dämon 日本".as_bytes()), "dämon 日本");
    }

    #[test]
    fn a_name_ends_at_its_nul() {
        assert_eq!(comm(b"sh\0rest of it..."), "sh");
        assert_eq!(comm(b"sixteen bytes ok"), "sixteen bytes ok");
    }

    proptest! {
        #[test]
        fn nothing_unprintable_ever_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let shown = text(&bytes);
            let obeyed = shown.chars().any(|it| it.is_control() || it == '\u{202e}');
            prop_assert!(!obeyed);
        }
    }
}
