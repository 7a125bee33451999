//! What did not fit into the model's tables, by table.

/// A table of the model with a maximum size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounded {
    /// Processes.
    Processes,
    /// Signals and parents to look at again later.
    Timers,
    /// Processes that exit and are watched until they have.
    Dying,
    /// Exited parents that left zombies unreaped, or exited PID 1s that signals did not reach.
    Retired,
    /// Stops in progress.
    OpenStops,
    /// Stops that are over.
    PastStops,
    /// Kinds of failed forks.
    ForkFailures,
    /// Ends of processes.
    PastEnds,
}

impl Bounded {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Processes,
        Self::Timers,
        Self::Dying,
        Self::Retired,
        Self::OpenStops,
        Self::PastStops,
        Self::ForkFailures,
        Self::PastEnds,
    ];

    /// The stable name of the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Timers => "timers",
            Self::Dying => "dying-processes",
            Self::Retired => "exited-parents",
            Self::OpenStops => "stops-in-progress",
            Self::PastStops => "finished-stops",
            Self::ForkFailures => "failed-forks",
            Self::PastEnds => "ended-processes",
        }
    }
}

impl Bounded {
    /// What it holds, in words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Timers => "signals to look at again",
            Self::Dying => "exiting processes",
            Self::Retired => "exited parents",
            Self::OpenStops => "stops in progress",
            Self::PastStops => "finished stops",
            Self::ForkFailures => "failed forks",
            Self::PastEnds => "ended processes",
        }
    }
}

/// How many items did not fit, by table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overflows([u64; Bounded::ALL.len()]);

impl Overflows {
    /// One more did not fit.
    pub(super) fn add(&mut self, table: Bounded) {
        self.set(table, self.of(table) + 1);
    }

    pub(super) fn set(&mut self, table: Bounded, count: u64) {
        if let Some(slot) = self.0.get_mut(table as usize) {
            *slot = count;
        }
    }

    /// How many did not fit into this table.
    #[must_use]
    pub fn of(&self, table: Bounded) -> u64 {
        self.0.get(table as usize).copied().unwrap_or(0)
    }

    /// How many did not fit into any.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The tables into which something did not fit, and how much.
    pub fn iter(&self) -> impl Iterator<Item = (Bounded, u64)> {
        Bounded::ALL.into_iter().zip(self.0).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_table_is_counted_by_its_own_name() {
        let mut overflows = Overflows::default();
        for (count, table) in Bounded::ALL.into_iter().enumerate() {
            (0..=count).for_each(|_| overflows.add(table));
        }
        let counted: Vec<_> = overflows.iter().map(|(table, count)| (table.name(), count)).collect();
        assert_eq!(counted.first(), Some(&("processes", 1)));
        assert_eq!(counted.last(), Some(&("ended-processes", 8)));
        assert_eq!(overflows.total(), 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8);
    }
}
