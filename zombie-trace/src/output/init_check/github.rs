//! Annotations for GitHub Actions, at the line to change where that is known.

use std::io::{self, Write};

use super::{Grade, Graded, Grades};
use crate::output::{
    Reporter,
    check::github::{CAP, command, command_at},
};

/// Annotations of what failed, never more than are shown.
#[derive(Debug)]
pub struct Annotations<W>(pub W);

impl<W: Write> Reporter<Grades> for Annotations<W> {
    fn report(&mut self, grades: &Grades) -> io::Result<()> {
        for (kind, required) in [("error", true), ("warning", false)] {
            let failed = grades.checks.iter().filter(|it| it.grade == Grade::Fail && it.required == required);
            let failed: Vec<&Graded> = failed.collect();
            let shown = if failed.len() > CAP { CAP - 1 } else { failed.len() };
            for it in &failed[..shown] {
                writeln!(self.0, "{}", annotation(kind, grades, it))?;
            }
            if let Some(rest) = failed.get(shown..).filter(|rest| !rest.is_empty()) {
                let names: Vec<&str> = rest.iter().map(|it| it.id).collect();
                let title = format!("zombie-trace: {} more", rest.len());
                writeln!(self.0, "{}", command(kind, &title, &names.join("\n")))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn annotation(kind: &str, grades: &Grades, it: &Graded) -> String {
    let title = format!("zombie-trace: {}", it.id);
    let message = grades.message(it);
    match grades.place(it) {
        Some((file, line)) => command_at(kind, file, line, &title, &message),
        None => command(kind, &title, &message),
    }
}

impl Grades {
    /// What a check says that failed, and what to write.
    pub(super) fn message(&self, it: &Graded) -> String {
        let mut text = format!("{}: {}", it.demand, it.evidence.join("; "));
        for fix in self.fixes.iter().filter(|fix| fix.checks.contains(&it.id)) {
            let line = match &self.file {
                Some((_, kind)) => fix.text(*kind),
                None => &fix.dockerfile,
            };
            text.push_str(&format!("\n{}: {line}", fix.why));
        }
        text
    }

    /// Where that is; the first line of the file if no line of it would help.
    pub(super) fn place(&self, it: &Graded) -> Option<(&str, usize)> {
        let (file, _) = self.file.as_ref()?;
        let fix = self.fixes.iter().find(|fix| fix.checks.contains(&it.id));
        Some((file, fix.and_then(|fix| fix.place.as_ref()).map_or(1, |place| place.line)))
    }
}
