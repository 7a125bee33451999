//! The arguments of `explain`.

use std::ffi::OsStr;

use clap::{
    Arg, Args, Command,
    builder::{PossibleValue, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::args::FormatArg;
use crate::explain::{Section, find, nearest, sections};

pub(super) const EXAMPLES: &str = "\
Examples:
  zombie-trace explain                                   every id with its meaning
  zombie-trace explain never-waits
  zombie-trace explain zombies/never-waits/nginx         the id of a finding
  zombie-trace explain --format json no-handler";

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Ids of causes, reasons, limits, rules, checks or findings. Without an id: list all.
    #[arg(value_name = "ID", value_parser = IdParser, hide_possible_values = true)]
    pub ids: Vec<Section>,
    /// Output format.
    #[arg(long, value_enum, default_value_t)]
    pub format: FormatArg,
}

/// Reads an id. That of a finding is none of the values that a shell completes, so a list of values would refuse it.
#[derive(Clone)]
struct IdParser;

impl TypedValueParser for IdParser {
    type Value = Section;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Section, clap::Error> {
        let text = value.to_string_lossy();
        find(&text).ok_or_else(|| {
            let mut error = clap::Error::new(ErrorKind::InvalidValue).with_cmd(command);
            let name = arg.map_or_else(|| "ID".to_owned(), ToString::to_string);
            error.insert(ContextKind::InvalidArg, ContextValue::String(name));
            error.insert(ContextKind::InvalidValue, ContextValue::String(text.clone().into_owned()));
            let near = nearest(&text).into_iter().map(str::to_owned).collect::<Vec<_>>();
            if !near.is_empty() {
                error.insert(ContextKind::SuggestedValue, ContextValue::Strings(near));
            }
            let all = "`zombie-trace explain` lists all ids".to_owned();
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![all.into()]));
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(sections().map(|section| PossibleValue::new(section.id))))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn an_unknown_id_is_refused_with_the_nearest() {
        let error = Cli::try_parse_from(["zombie-trace", "explain", "nevr-waits"]).unwrap_err().to_string();
        assert!(error.contains("invalid value 'nevr-waits'") && error.contains("never-waits"), "{error}");
        assert!(error.contains("`zombie-trace explain` lists all ids"), "{error}");
        let error = Cli::try_parse_from(["zombie-trace", "explain", "qqq"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(!error.to_string().contains("similar"), "{error}");
    }

    #[test]
    fn the_id_of_a_finding_is_taken() {
        assert!(Cli::try_parse_from(["zombie-trace", "explain", "zombies/never-waits/a b", "no-handler"]).is_ok());
    }

    #[test]
    fn shells_complete_ids() {
        let mut script = Vec::new();
        let mut command = <Cli as clap::CommandFactory>::command();
        clap_complete::generate(clap_complete::Shell::Bash, &mut command, "zombie-trace", &mut script);
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains("never-waits") && script.contains("pids.max"));
    }
}
