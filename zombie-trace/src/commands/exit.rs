//! Every exit code, in one place.

use std::process::ExitCode;

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Measured, and nothing was found.
    Clean = 0,
    /// Measured, and something was found.
    Findings = 1,
    /// The command line was wrong.
    Usage = 2,
    /// It could not be measured: no privilege, no kernel support, or events were lost where the answer depends on
    /// them.
    Unmeasured = 3,
}

impl Exit {
    /// What `--help` says of the codes.
    pub const HELP: &'static str = "\
Exit codes:
  0  success, no findings
  1  findings
  2  usage error
  3  could not measure: no privilege, no kernel support, or events lost";
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
