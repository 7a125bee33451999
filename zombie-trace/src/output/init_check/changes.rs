//! What to change, as text.

use std::io::{self, Write};

use super::Grades;
use crate::output::{Palette, style::paint};

/// Prints each change, with the line of the user's file or what to write in each kind of file.
pub(super) fn text(grades: &Grades, palette: Palette, out: &mut dyn Write) -> io::Result<()> {
    if grades.fixes.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", paint(palette.heading, "What to change"))?;
    for fix in &grades.fixes {
        writeln!(out, "\n  {}: {}", paint(palette.name, fix.checks.join(", ")), fix.why)?;
        match (&fix.place, &grades.file) {
            (Some(place), Some((_, kind))) => {
                writeln!(out, "        {}:{}  {}", place.file, place.line, fix.text(*kind))?;
            }
            _ => {
                writeln!(out, "        Dockerfile  {}", fix.dockerfile)?;
                writeln!(out, "        Compose     {}", fix.compose)?;
                writeln!(out, "        pod         {}", fix.pod)?;
            }
        }
    }
    Ok(())
}
