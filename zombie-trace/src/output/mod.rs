//! How things are printed: the records of the machine output, text for people, and what makes hostile names safe.

pub mod escape;
