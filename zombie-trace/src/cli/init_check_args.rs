//! The arguments of `init-check`.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use super::args::{duration, use_color};
use crate::{
    commands::{
        Format,
        init_check::{self, Style, Subject},
    },
    image::config::Overrides,
    init_check::User,
    signal,
};

pub(super) const EXAMPLES: &str = "\
Examples:
  sudo zombie-trace init-check -- tini -- ./server
  sudo zombie-trace init-check --grace 30s --stop-signal QUIT -- nginx -g 'daemon off;'
  sudo zombie-trace init-check -- sh -c '{workload} & wait'     mark its child with {workload}
  sudo zombie-trace init-check --rootfs ./unpacked --user 1000:1000 --strict -- /entrypoint.sh
  sudo zombie-trace init-check --image web:1                    as docker run would start it
  sudo zombie-trace init-check --image web:1 --init             as docker run --init would
  sudo zombie-trace init-check --image ./web.tar -- serve --port 80
  sudo zombie-trace init-check --image web:1 --file Dockerfile --sarif init.sarif --github
  zombie-trace init-check --list";

/// Arguments of `init-check`.
#[derive(Debug, Args)]
pub struct InitCheckArgs {
    /// How long PID 1 may take to exit after its stop signal.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    grace: Duration,
    /// The command counts as started when it has started no process for this long. Supervisors that start services late
    /// need more.
    #[arg(long, value_name = "DURATION", default_value = "500ms", value_parser = duration)]
    settle: Duration,
    /// The stop signal, by name or number; by default the image's own, or TERM.
    #[arg(long, value_name = "SIGNAL", value_parser = stop_signal)]
    stop_signal: Option<i32>,
    /// Run only these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    only: Vec<String>,
    /// Skip these checks.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    skip: Vec<String>,
    /// List the checks and exit.
    #[arg(long)]
    list: bool,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    format: StyleArg,
    /// Show which line to change in this Dockerfile, Compose file or pod spec.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Also write the failed checks as SARIF, for code scanning.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Print annotations for GitHub Actions.
    #[arg(long)]
    github: bool,
    /// Run the command as this user and group: numbers, or, with --image, names from the image.
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Run the command with this folder as its root, for example an unpacked image. It must contain a folder named
    /// proc.
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Test this image as a container runtime would start it. It is an archive (docker save, OCI) or the folder of an
    /// OCI
    /// layout, both read without a daemon, or the name of an image that Docker or Podman has on this machine.
    #[arg(long, value_name = "IMAGE", conflicts_with = "rootfs")]
    image: Option<String>,
    /// With --image: run this program instead of the image's entrypoint; "" for no entrypoint.
    #[arg(long, value_name = "PROGRAM", requires = "image")]
    entrypoint: Option<String>,
    /// With --image: run the command under an init, as docker run --init does.
    #[arg(long, requires = "image")]
    init: bool,
    /// With --image: set an environment variable; without a value, it is passed on from this environment.
    #[arg(long, short, value_name = "NAME[=VALUE]", requires = "image", value_parser = variable)]
    env: Vec<Option<(String, String)>>,
    /// With --image: the working directory in the image.
    #[arg(long, short, value_name = "DIR", requires = "image")]
    workdir: Option<String>,
    /// Also fail on recommended checks.
    #[arg(long)]
    strict: bool,
    /// The command to run as PID 1, with the capabilities that containers have. With --image: arguments instead of the
    /// image's own (CMD). Some checks replace the child of this command with one of their own. Write {workload} where
    /// the
    /// child is named, if it cannot be recognised.
    #[arg(last = true, value_name = "CMD", required_unless_present_any = ["list", "image"])]
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
    ///
    /// # Errors
    /// What is wrong with them, in words.
    pub fn options(self) -> Result<init_check::Options, String> {
        let subject = match self.image {
            None => Subject::Command {
                command: self.command,
                rootfs: self.rootfs,
                user: self.user.as_deref().map(user).transpose()?,
            },
            Some(reference) => {
                let words = self
                    .command
                    .into_iter()
                    .map(|word| word.into_string().map_err(|word| format!("{} is not UTF-8 text", word.display())));
                let overrides = Overrides {
                    entrypoint: self.entrypoint,
                    arguments: words.collect::<Result<_, String>>()?,
                    environment: self.env.into_iter().flatten().collect(),
                    user: self.user,
                    workdir: self.workdir,
                    init: self.init,
                };
                Subject::Image { reference, overrides }
            }
        };
        Ok(init_check::Options {
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
            strict: self.strict,
            file: self.file,
            sarif: self.sarif,
            github: self.github,
            subject,
        })
    }
}

fn stop_signal(text: &str) -> Result<i32, String> {
    let number = signal::number(text).and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| "not a signal; write it like TERM, SIGQUIT, RTMIN+3 or 15".to_owned())
}

/// A variable with its value; without one it is the tool's own, if that has it.
fn variable(text: &str) -> Result<Option<(String, String)>, String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the variable has no name; write it like NAME=VALUE or NAME".to_owned()),
        Some((name, value)) => Ok(Some((name.to_owned(), value.to_owned()))),
        None => Ok(std::env::var(text).ok().map(|value| (text.to_owned(), value))),
    }
}

fn user(text: &str) -> Result<User, String> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse().map_err(|_| "not a user; write it like 1000 or 1000:1000".to_owned());
    Ok(User { uid: number(uid)?, gid: number(gid)?, groups: Vec::new() })
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
        assert_eq!(user("7").map(|it| (it.uid, it.gid)), Ok((7, 7)));
        assert_eq!(user("7:8").map(|it| (it.uid, it.gid)), Ok((7, 8)));
        assert!(user("me").is_err());
    }
}
