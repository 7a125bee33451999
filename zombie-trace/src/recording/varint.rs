//! Small numbers in few bits.

/// A truncated or invalid number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Small for small differences of either sign.
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// LEB128.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// LEB128.
pub(super) fn take(bytes: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or(Malformed)?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Below this a number is its own class.
const LITERALS: u64 = 128;

/// A number as a class (a byte, which compresses) and the bits below it (which mostly do not).
///
/// Classes from 128 stand for the length and the second-highest bit; the rest, two bits fewer than the length, goes to
/// the bits.
pub(super) fn put_class(classes: &mut Vec<u8>, bits: &mut BitWriter, value: u64) {
    if value < LITERALS {
        classes.push(value as u8);
        return;
    }
    let length = 64 - value.leading_zeros();
    let second = (value >> (length - 2)) as u8 & 1;
    classes.push(128 + ((length - 8) as u8) * 2 + second);
    bits.put(value, length - 2);
}

pub(super) fn take_class(class: u8, bits: &mut BitReader<'_>) -> Result<u64, Malformed> {
    if u64::from(class) < LITERALS {
        return Ok(class.into());
    }
    let length = u32::from((class - 128) / 2) + 8;
    if length > 64 {
        return Err(Malformed);
    }
    let top = 2 | u64::from(class & 1);
    Ok(top << (length - 2) | bits.take(length - 2)?)
}

/// Bits, lowest first.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    pending: u128,
    count: u32,
}

impl BitWriter {
    /// The lowest `count` bits of a value; at most 64.
    fn put(&mut self, value: u64, count: u32) {
        let value = u128::from(value) & ((1 << count) - 1);
        self.pending |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending as u8);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// All bits, filled up to a byte.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push(self.pending as u8);
        }
        self.bytes
    }
}

/// See [`BitWriter`].
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> BitReader<'a> {
    /// Continues at this bit.
    pub(super) const fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    /// How many bits were read.
    pub(super) const fn position(&self) -> usize {
        self.position
    }

    fn take(&mut self, count: u32) -> Result<u64, Malformed> {
        // Eight bytes hold any 57 bits wherever they begin.
        if count > 56 {
            let low = self.take(32)?;
            return Ok(self.take(count - 32)? << 32 | low);
        }
        let first = self.position / 8;
        let end = self.position + count as usize;
        if end > self.bytes.len() * 8 {
            return Err(Malformed);
        }
        let window = match self.bytes.get(first..first + 8) {
            Some(window) => window.try_into().map(u64::from_le_bytes).map_err(|_| Malformed)?,
            None => {
                let mut window = [0; 8];
                let rest = self.bytes.get(first..).unwrap_or_default();
                window[..rest.len()].copy_from_slice(rest);
                u64::from_le_bytes(window)
            }
        };
        let value = window >> (self.position % 8) & ((1 << count) - 1);
        self.position = end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(values in proptest::collection::vec(any::<i64>().prop_flat_map(|it| (0u32..64).prop_map(move |by| it >> by)), 0..100)) {
            let (mut classes, mut bits, mut plain) = (Vec::new(), BitWriter::default(), Vec::new());
            for &value in &values {
                put_class(&mut classes, &mut bits, zigzag(value));
                put(&mut plain, zigzag(value));
            }
            let bits = bits.finish();
            let mut bits = BitReader::at(&bits, 0);
            let mut plain = plain.as_slice();
            prop_assert_eq!(classes.len(), values.len());
            for (&class, &value) in classes.iter().zip(&values) {
                prop_assert_eq!(take_class(class, &mut bits).map(unzigzag), Ok(value));
                prop_assert_eq!(take(&mut plain).map(unzigzag), Ok(value));
            }
            prop_assert!(plain.is_empty());
        }

        #[test]
        fn any_bytes_are_numbers_or_malformed(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = bytes.as_slice();
            while take(&mut rest).is_ok() {}
            let mut bits = BitReader::at(&bytes, 0);
            for &class in &bytes {
                let _ = take_class(class, &mut bits);
            }
        }
    }
}
