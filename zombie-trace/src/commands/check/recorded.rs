//! `check --recording`: a recording instead of a run, under the same policy.

use std::{path::PathBuf, time::Duration};

use anyhow::{anyhow, bail};

use crate::{
    commands::replay::{self, Selection},
    event::BootNs,
    files::shown,
    output::LastReport,
    probe::{Need, PROBES},
    recording::{Header, Reader},
    report::{Report, Scope},
    text::duration,
    text::escape,
};

/// Recordings that can be judged together: parts of one run.
#[derive(Debug)]
pub(super) struct Recording {
    files: Vec<PathBuf>,
    first: Header,
}

/// What a recording tells.
pub(super) struct Recorded {
    pub(super) report: Report,
    /// See [`crate::policy::Input::began_ns`].
    pub(super) began_ns: BootNs,
    /// What cannot be known from it.
    pub(super) notes: Vec<String>,
    /// Why the absence of violations says nothing.
    pub(super) unmeasured: Option<String>,
}

impl Recording {
    /// Looks into the files.
    ///
    /// # Errors
    /// One is no recording, or they are of several runs: a policy is for one.
    pub(super) fn open(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut first: Option<Header> = None;
        for path in files {
            let reader = Reader::open(path).map_err(|error| anyhow!("{}: {error}", shown(path)))?;
            let header = reader.header();
            match &first {
                None => first = Some(header.clone()),
                Some(other) if run_of(other) != run_of(header) => {
                    bail!("{} is from another run than {}; check them one by one", shown(path), shown(&files[0]));
                }
                Some(_) => {}
            }
        }
        let first = first.ok_or_else(|| anyhow!("no recording is given"))?;
        Ok(Self { files: files.to_vec(), first })
    }

    /// Reads them, as `report` does.
    ///
    /// # Errors
    /// They cannot be read to their end.
    pub(super) fn read(&self, min_age: Duration, scope: &Scope) -> anyhow::Result<Recorded> {
        let selection = Selection {
            files: self.files.clone(),
            min_age,
            since: None,
            until: None,
            root: None,
            scope: (!scope.is_unlimited()).then(|| scope.clone()),
        };
        let mut kept = LastReport::default();
        let outcome = replay::replay(&selection, &mut kept)?;
        let report = kept.0.ok_or_else(|| anyhow!("nothing in it can be read"))?;
        let cut_off = self.first.command_began > 0 && report.command.is_none();
        let unmeasured = if outcome.unreadable + outcome.damaged > 0 {
            Some("parts of the recording cannot be read, so some findings may be missing".to_owned())
        } else if cut_off {
            Some("the recording was cut off before the command ended".to_owned())
        } else {
            None
        };
        Ok(Recorded { report, began_ns: self.first.command_began, notes: self.notes(min_age), unmeasured })
    }

    fn notes(&self, min_age: Duration) -> Vec<String> {
        let header = &self.first;
        let mut notes = Vec::new();
        match (header.command_began, header.follows) {
            (0, false) => notes.push("no command was recorded, so everything on the machine is checked".to_owned()),
            (0, true) => notes.push(
                "the recording does not say when its process was started, so older adopters are also checked"
                    .to_owned(),
            ),
            _ => {}
        }
        if u128::from(header.min_age_ns) > min_age.as_nanos() {
            notes.push(format!(
                "it was recorded with --min-age {}, so it is unknown how the parents of younger zombies waited",
                duration(header.min_age_ns)
            ));
        }
        for missing in &header.missing_probes {
            let lost = PROBES.iter().find(|probe| probe.hook.name() == *missing).map(|probe| probe.need);
            let lost = match lost {
                Some(Need::Optional(lost)) => lost,
                _ => "its events are missing",
            };
            notes.push(format!("it was recorded without {}: {lost}", escape::text(missing.as_bytes())));
        }
        notes
    }

    /// Where it was made, for where a command would be named.
    pub(super) fn place(&self) -> String {
        format!("(recorded on {})", escape::text(self.first.host.as_bytes()))
    }
}

fn run_of(header: &Header) -> (&str, &str, BootNs) {
    (&header.host, &header.boot_id, header.started)
}
