//! How PID 1s ended, and others if that was asked for, for people.

use std::io;

use super::summary::{evidence, field};
use crate::{
    output::{
        Palette,
        names::{name, pid_1, sender},
        style::paint,
    },
    report::{EndedRecord, ExitRecord, Report, ends_by_concern},
};

/// Maximum number of ends listed.
const MAX_LISTED: usize = 20;

/// `killed by SIGKILL (137): outside, by docker (12)`
pub(super) fn words(palette: Palette, ended: &EndedRecord) -> String {
    let who = if ended.is_pid_1 { pid_1(palette, &ended.process) } else { name(palette, &ended.process) };
    format!("{who}: {}", how(palette, ended))
}

fn how(palette: Palette, ended: &EndedRecord) -> String {
    match (&ended.exit, &ended.sender) {
        (ExitRecord::Code { .. }, _) => ended.exit.to_string(),
        (ExitRecord::Signal { .. }, by) => {
            let by = by.as_ref().map_or_else(String::new, |it| format!(", by {}", sender(palette, Some(it))));
            format!("{} (status {}): {}{by}", ended.exit, ended.exit_status, ended.way.id())
        }
    }
}

/// Those that a signal ended or that ended with another code than 0: what matters most first.
pub(super) fn ends(out: &mut impl io::Write, palette: Palette, report: &Report) -> io::Result<()> {
    let listed: Vec<_> = ends_by_concern(report).into_iter().filter(|ended| ended.exit_status != 0).collect();
    if listed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "How processes ended"))?;
    for ended in listed.iter().take(MAX_LISTED) {
        let who = if ended.is_pid_1 { pid_1(palette, &ended.process) } else { name(palette, &ended.process) };
        writeln!(out, "\n  {who}\n    {}", how(palette, ended))?;
        evidence(out, &ended.evidence)?;
        if let Some(advice) = &ended.advice {
            field(out, "advice", advice)?;
        }
        if let Some(question) = &ended.would_decide {
            field(out, "open", question)?;
        }
    }
    super::consequences::rest(out, listed.len())
}
