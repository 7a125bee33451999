//! Many zombies in few bytes: each a run of numbers of variable length, seven bits a byte, in base64.
//!
//! `page/data.js` reads it back.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Numbers, one after the other.
#[derive(Debug, Default)]
pub(super) struct Columns(Vec<u8>);

impl Columns {
    pub(super) fn push(&mut self, number: u64) {
        let mut rest = number;
        loop {
            let low = rest.to_le_bytes()[0] & 0x7f;
            rest >>= 7;
            if rest == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    pub(super) fn into_base64(self) -> String {
        STANDARD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_as_many_bytes_as_they_need() {
        let mut columns = Columns::default();
        for number in [0, 127, 128, 300, u64::MAX] {
            columns.push(number);
        }
        let bytes = STANDARD.decode(columns.into_base64()).expect("it was encoded so");
        assert_eq!(bytes[..6], [0, 0x7f, 0x80, 0x01, 0xac, 0x02]);
        assert_eq!(bytes.len(), 6 + 10);
    }
}
