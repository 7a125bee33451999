//! Sizes of memory for people.

/// A size in bytes: `512 bytes`, `64 MiB`, `1.5 GiB`; not rounded up.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let Some((shift, unit)) = UNITS.into_iter().find(|(shift, _)| bytes >> shift != 0) else {
        return super::plural(bytes, "byte", "bytes");
    };
    let (whole, rest) = (bytes >> shift, bytes & ((1 << shift) - 1));
    match (u128::from(rest) * 10) >> shift {
        0 => format!("{whole} {unit}"),
        tenths => format!("{whole}.{tenths} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_at_most_one_decimal() {
        let shown = [0, 1, 1_023, 64 << 20, (1 << 30) - 4_096, 3 << 29, u64::MAX].map(size);
        assert_eq!(shown, ["0 bytes", "1 byte", "1023 bytes", "64 MiB", "1023.9 MiB", "1.5 GiB", "16777215.9 TiB"]);
    }
}
