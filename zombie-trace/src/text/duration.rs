//! Durations for people.

/// A duration in ns, in two or three digits: `12 µs`, `3.4 ms`, `2.1 s`, `5 min 3 s`, `2 h 10 min`, `3 d 4 h`.
#[must_use]
pub fn duration(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    let seconds = nanoseconds / 1_000_000_000;
    match seconds {
        0..60 => UNITS.iter().find(|(unit, _)| nanoseconds >= *unit).map_or_else(
            || format!("{nanoseconds} ns"),
            |&(unit, name)| {
                let whole = nanoseconds / unit;
                if whole < 10 {
                    format!("{whole}.{} {name}", nanoseconds % unit * 10 / unit)
                } else {
                    format!("{whole} {name}")
                }
            },
        ),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_few_digits() {
        let shown: Vec<_> =
            [999, 1_500, 42_000_000, 3_449_999_999, 61_000_000_000, 3_725_000_000_000, 100_000_000_000_000]
                .map(duration)
                .to_vec();
        assert_eq!(shown, ["999 ns", "1.5 µs", "42 ms", "3.4 s", "1 min 1 s", "1 h 2 min", "1 d 3 h"]);
    }
}
