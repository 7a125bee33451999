//! One file per subcommand: what it reads, what it prints, what it says in its exit code.

pub mod scan;
