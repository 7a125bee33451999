//! What recordings cost in memory, whatever is in them, and what a run does that goes on for long.

#[cfg(test)]
mod counting;
#[cfg(test)]
mod forging;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod long;
#[cfg(test)]
mod reading;
