//! For GitHub Actions: annotations as workflow commands, and the job's summary in Markdown.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{Outcome, expired, headline, waiver};
use crate::{output::Reporter, policy::Violation};

/// So many annotations of one type are shown for a step; what is beyond is thrown away without a word.
const CAP: usize = 10;
/// So many rows of the summary, which may not be larger than 1 MiB.
const ROWS: usize = 200;

/// Annotations, never more than are shown: what is beyond is told in the last one.
#[derive(Debug)]
pub struct Annotations<W>(pub W);

impl<W: Write> Reporter<Outcome<'_>> for Annotations<W> {
    fn report(&mut self, outcome: &Outcome<'_>) -> io::Result<()> {
        annotate(&mut self.0, outcome)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The job's summary.
#[derive(Debug)]
pub struct Summary<W>(pub W);

impl<W: Write> Reporter<Outcome<'_>> for Summary<W> {
    fn report(&mut self, outcome: &Outcome<'_>) -> io::Result<()> {
        self.0.write_all(summary(outcome).as_bytes())
    }
}

fn annotate(out: &mut dyn Write, outcome: &Outcome<'_>) -> io::Result<()> {
    let verdict = outcome.verdict;
    let message = |title: &str, text: String| Message { title: title.to_owned(), text, place: None };
    let errors = verdict.violations.iter().map(|it| message(&it.title, format!("{}\n{}", it.detail, it.id)));
    let unmeasured = verdict.unmeasured.iter().map(|why| message("could not measure", why.clone()));
    let warnings = verdict.expired.iter().map(|it| message("a policy entry has expired", expired(it)));
    capped("error", &unmeasured.chain(errors).collect::<Vec<_>>(), out)?;
    capped("warning", &warnings.collect::<Vec<_>>(), out)
}

/// An annotation.
pub(in crate::output) struct Message {
    pub(in crate::output) title: String,
    pub(in crate::output) text: String,
    /// The file, and its line from 1.
    pub(in crate::output) place: Option<(String, usize)>,
}

/// Writes annotations of one type, and what is beyond the cap as titles in the last one.
pub(in crate::output) fn capped(kind: &str, messages: &[Message], out: &mut dyn Write) -> io::Result<()> {
    let shown = if messages.len() > CAP { CAP - 1 } else { messages.len() };
    let (told, rest) = messages.split_at(shown);
    let titled = |title: &str| format!("zombie-trace: {title}");
    for Message { title, text, place } in told {
        writeln!(out, "{}", command(kind, &titled(title), text, place.as_ref()))?;
    }
    if !rest.is_empty() {
        let titles: Vec<&str> = rest.iter().map(|message| message.title.as_str()).collect();
        let more = titled(&format!("{} more", rest.len()));
        writeln!(out, "{}", command(kind, &more, &titles.join("\n"), None))?;
    }
    Ok(())
}

/// A workflow command, in one line.
fn command(kind: &str, title: &str, text: &str, place: Option<&(String, usize)>) -> String {
    let place = place.map(|(file, line)| format!("file={},line={line},", property(file))).unwrap_or_default();
    format!("::{kind} {place}title={}::{}", property(title), data(text))
}

/// The message of a workflow command (`escapeData` of the Actions toolkit).
fn data(text: &str) -> String {
    // The old form of commands, `##[…]`, is looked for anywhere in a line.
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A").replace("##[", "## [")
}

/// A property of a workflow command (`escapeProperty` of the Actions toolkit).
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

fn summary(outcome: &Outcome<'_>) -> String {
    let verdict = outcome.verdict;
    let sign = match verdict.word() {
        "pass" => "✅",
        "fail" => "❌",
        _ => "⚠️",
    };
    let mut text = format!("### {sign} zombie-trace check\n\n{}\n", markdown(&headline(outcome)));
    let mut row = |violation: &Violation, verdict: String, header: bool| {
        if header {
            text.push_str("\n| rule | finding | what | verdict |\n| --- | --- | --- | --- |\n");
        }
        let what = format!("**{}**<br>{}", markdown(&violation.title), markdown(&violation.detail));
        let _ = writeln!(text, "| {} | {} | {what} | {verdict} |", violation.rule.id(), markdown(&violation.id));
    };
    let rows = verdict.violations.iter().map(|it| (it, "fails".to_owned()));
    let rows = rows.chain(verdict.waived.iter().map(|it| (&it.violation, markdown(&waiver(&it.by)))));
    for (index, (violation, verdict)) in rows.take(ROWS).enumerate() {
        row(violation, verdict, index == 0);
    }
    let left_out = (verdict.violations.len() + verdict.waived.len()).saturating_sub(ROWS);
    if left_out > 0 {
        let _ = writeln!(text, "\nand {left_out} more");
    }
    for entry in &verdict.expired {
        let _ = write!(text, "\n- {}", markdown(&expired(entry)));
    }
    for note in &verdict.notes {
        let _ = write!(text, "\n- {}", markdown(note));
    }
    let _ = writeln!(text, "\n\nCommand: {}\n", markdown(outcome.command));
    text
}

/// Text that Markdown and HTML take for nothing but text, in one line.
fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // An at sign calls a person, a number sign links an issue; both do so even behind a backslash.
            '@' => safe.push_str("&#64;"),
            '#' => safe.push_str("&#35;"),
            '\n' | '\r' => safe.push(' '),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '$' => {
                safe.push('\\');
                safe.push(character);
            }
            _ => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workflow_commands_are_escaped_as_the_toolkit_does() {
        assert_eq!(data("50%\r\n::error::x"), "50%25%0D%0A::error::x");
        assert_eq!(property("a:b,c%\n"), "a%3Ab%2Cc%25%0A");
        assert_eq!(data("x ##[add-matcher]f"), "x ## [add-matcher]f");
    }

    /// The file has what GitHub's own package prints, each line behind what it was given. The runner's parser is a part
    /// of the runner and not to be had, so its counterpart is the witness.
    #[test]
    fn workflow_commands_are_those_of_githubs_own_package() {
        let lines: Vec<&str> = include_str!("fixtures/actions-core-1.11.1.txt").lines().collect();
        assert_eq!(lines.len(), 16);
        for pair in lines.chunks(2) {
            let given: serde_json::Value = serde_json::from_str(pair[0]).unwrap();
            let text = |key: &str| given[key].as_str().unwrap();
            assert_eq!(command(text("kind"), text("title"), text("message"), None), pair[1]);
        }
    }

    #[test]
    fn a_name_is_no_markup() {
        assert_eq!(markdown("<img src=x>|`a`"), "&lt;img src=x&gt;\\|\\`a\\`");
        assert_eq!(markdown("@someone #1 [a](b)"), "&#64;someone &#35;1 \\[a\\](b)");
        assert_eq!(markdown("two\nlines"), "two lines");
    }
}
