//! The arguments of `init-check`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::args::{duration, use_color};
use crate::{
    commands::{
        Format,
        init_check::{self, Style},
    },
    signal,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo zombie-trace init-check -- tini -- ./server
  sudo zombie-trace init-check --grace 30s --stop-signal QUIT -- nginx -g 'daemon off;'
  sudo zombie-trace init-check -- sh -c '{workload} & wait'     {workload} is where its child is written
  sudo zombie-trace init-check --rootfs ./unpacked --user 1000:1000 --strict -- /entrypoint.sh
  zombie-trace init-check --list";

/// Arguments of `init-check`.
#[derive(Debug, Args)]
pub struct InitCheckArgs {
    /// How long PID 1 has to end after its stop signal.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    grace: Duration,
    /// How long a command must start nothing to count as started; longer for supervisors that start their services late.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    settle: Duration,
    /// The stop signal, by name or number.
    #[arg(long, value_name = "SIGNAL", default_value = "TERM", value_parser = stop_signal)]
    stop_signal: i32,
    /// Only these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Skip these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// List the checks and do nothing else.
    #[arg(long)]
    list: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: StyleArg,
    /// Run the command as this user and group.
    #[arg(long, value_name = "UID[:GID]", value_parser = user)]
    user: Option<(u32, u32)>,
    /// Run the command in this folder as its root, for example an unpacked image; it needs a folder proc.
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Also fail on recommended checks.
    #[arg(long)]
    strict: bool,
    /// The command to run as PID 1, with the capabilities that containers have. Some checks put a child of their own in the place of the one that it starts: where
    /// {workload} stands in it, or where that can be told from the child's arguments.
    #[arg(last = true, value_name = "CMD", required_unless_present = "list")]
    command: Vec<OsString>,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum StyleArg {
    /// For people.
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// JUnit XML.
    Junit,
}

impl InitCheckArgs {
    /// The validated options.
    #[must_use]
    pub fn options(self) -> init_check::Options {
        init_check::Options {
            grace: self.grace,
            settle: self.settle,
            stop_signal: self.stop_signal,
            only: self.only,
            skip: self.skip,
            list: self.list,
            style: match self.format {
                StyleArg::Text => Style::Plain(Format::Text),
                StyleArg::Json => Style::Plain(Format::Json),
                StyleArg::Junit => Style::Junit,
            },
            color: use_color(),
            user: self.user,
            rootfs: self.rootfs,
            strict: self.strict,
            command: self.command,
        }
    }
}

fn stop_signal(text: &str) -> Result<i32, String> {
    let wanted = text.to_ascii_uppercase();
    (1..=64_i32)
        .find(|number| {
            let name = signal::name(number.unsigned_abs());
            name == wanted || name.strip_prefix("SIG") == Some(&wanted) || number.to_string() == wanted
        })
        .ok_or_else(|| "not a signal; write it like TERM, SIGQUIT, RTMIN+3 or 15".to_owned())
}

fn user(text: &str) -> Result<(u32, u32), String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse().map_err(|_| "not a user; write it like 1000 or 1000:1000".to_owned());
    Ok((number(uid)?, number(gid)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_as_people_do() {
        assert_eq!(stop_signal("term"), Ok(15));
        assert_eq!(stop_signal("SIGRTMIN+3"), Ok(37));
        assert_eq!(stop_signal("3"), Ok(3));
        assert!(stop_signal("0").is_err() && stop_signal("NONE").is_err());
    }

    #[test]
    fn a_user_may_have_a_group_of_another_number() {
        assert_eq!(user("7"), Ok((7, 7)));
        assert_eq!(user("7:8"), Ok((7, 8)));
        assert!(user("me").is_err());
    }
}
