//! JSON that may stand within a `<script>` element.
//!
//! A browser ends the element at `</script`, whatever the script's language, and takes `<!--` for more than it is. So
//! no angle bracket and no ampersand is left as it is; the two line separators that JSON has and old JavaScript had not
//! are written as escapes, too. The text that JSON means stays the same.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a value.
pub(super) fn write(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Harmless)).map_err(io::Error::from)
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let harmful = |character| matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
        let mut rest = fragment;
        while let Some(at) = rest.find(harmful) {
            let (before, from) = rest.split_at(at);
            writer.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                write!(writer, "\\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(value: &impl Serialize) -> String {
        let mut out = Vec::new();
        write(&mut out, value).expect("memory takes everything");
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn nothing_ends_the_script_element() {
        let hostile = "</script><!--<script>&amp;\u{2028}\u{2029}]]>\"\\";
        let json = written(&[hostile]);
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{json}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).expect("it is JSON"), [hostile]);
    }

    proptest! {
        #[test]
        fn the_text_stays_the_same(text: String) {
            let json = written(&text);
            prop_assert!(!json.contains(['<', '>', '&']));
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("it is JSON"), text);
        }
    }
}
