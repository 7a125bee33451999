//! The `zombie-trace` command.

fn main() {}
