//! What recordings cost in memory, whatever is in them.

#[cfg(test)]
mod counting;
#[cfg(test)]
mod forging;
#[cfg(test)]
mod hostile;
