//! Annotations for GitHub Actions, at the line to change where that is known.

use std::io::{self, Write};

use super::{Grade, Graded, Grades};
use crate::output::{
    Reporter,
    check::github::{Message, capped},
};

/// Annotations of what failed, never more than are shown.
#[derive(Debug)]
pub struct Annotations<W>(pub W);

impl<W: Write> Reporter<Grades> for Annotations<W> {
    fn report(&mut self, grades: &Grades) -> io::Result<()> {
        for (kind, required) in [("error", true), ("warning", false)] {
            let failed = grades.checks.iter().filter(|it| it.grade == Grade::Fail && it.required == required);
            let messages = failed.map(|it| Message {
                title: it.id.to_owned(),
                text: grades.message(it),
                place: grades.place(it).map(|(file, line)| (file.to_owned(), line)),
            });
            capped(kind, &messages.collect::<Vec<_>>(), &mut self.0)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
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
