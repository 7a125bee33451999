//! What `check` reads and writes.
//!
//! Whatever is written is begun before the command runs, so that a wrong path costs no test run, and takes its name
//! after it: what the command puts there meanwhile, a link for example, is replaced and not followed.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};

use super::{Format, Options};
use crate::{
    files::{
        read, shown,
        write::{Access, Draft, Existing, append},
    },
    output::{
        Palette, Reporter, check as render,
        document::{Json, Plain},
    },
};

/// The text of a file of settings, which may be a pull request's.
pub(super) fn settings(path: &Path) -> anyhow::Result<String> {
    read::text(path, read::MAX_SETTINGS).map_err(|error| anyhow!("{} {error}", shown(path)))
}

/// The files that are written.
#[derive(Default)]
pub(super) struct Files {
    output: Option<Draft>,
    junit: Option<Draft>,
    sarif: Option<Draft>,
    baseline: Option<Draft>,
    summary: Option<File>,
}

impl Files {
    /// Whether any gets its name after the run.
    pub(super) fn are_asked_for(options: &Options) -> bool {
        [&options.output, &options.junit, &options.sarif, &options.save_baseline].into_iter().any(Option::is_some)
    }

    /// Begins those that are asked for.
    ///
    /// # Errors
    /// One cannot be written.
    pub(super) fn begin(options: &Options) -> anyhow::Result<Self> {
        let begin = |path: &Option<PathBuf>, access| -> anyhow::Result<Option<Draft>> {
            let Some(path) = path else { return Ok(None) };
            Ok(Some(Draft::begin(path, access, Existing::Replace)?))
        };
        let summary = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| options.github && !path.is_empty());
        let summary = summary.map(|path| append(Path::new(&path))).transpose();
        Ok(Self {
            output: begin(&options.output, Access::Private)?,
            junit: begin(&options.junit, Access::Private)?,
            sarif: begin(&options.sarif, Access::Private)?,
            // It tells no command lines, and goes under version control.
            baseline: begin(&options.save_baseline, Access::Shared)?,
            summary: summary.context("GITHUB_STEP_SUMMARY")?,
        })
    }

    /// Writes the baseline, if that was asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn save_baseline(&mut self, text: &str) -> anyhow::Result<()> {
        let Some(draft) = self.baseline.take() else { return Ok(()) };
        fill(draft, |out| out.write_all(text.as_bytes()))
    }

    /// Writes the verdict wherever it was asked for. Who reads may have gone: that is no failure.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(super) fn write(self, options: &Options, outcome: &render::Outcome<'_>) -> anyhow::Result<()> {
        let Self { output, junit, sarif, baseline: _, summary } = self;
        if let Some(draft) = junit {
            fill(draft, |out| print(&mut render::Junit(out), outcome))?;
        }
        if let Some(draft) = sarif {
            fill(draft, |out| print(&mut render::Sarif(out), outcome))?;
        }
        if let Some(file) = summary {
            reader_may_go(print(&mut render::Summary(file), outcome)).context("GITHUB_STEP_SUMMARY")?;
        }
        let verdict = verdict(options, outcome).context("the verdict cannot be printed")?;
        match output {
            Some(draft) => fill(draft, |out| out.write_all(verdict.as_bytes()))?,
            None => {
                let mut out = io::stdout().lock();
                let written = out.write_all(verdict.as_bytes()).and_then(|()| out.flush());
                reader_may_go(written).context("the verdict cannot be written")?;
            }
        }
        // JSON alone is on standard output; the runner reads standard error as well.
        let annotated = match (options.github, options.format) {
            (false, _) => Ok(()),
            (true, Format::Text) => print(&mut render::Annotations(io::stdout().lock()), outcome),
            (true, Format::Json) => print(&mut render::Annotations(io::stderr().lock()), outcome),
        };
        reader_may_go(annotated).context("the annotations cannot be written")
    }
}

/// The verdict in the format that was asked for. GitHub's runner takes `##[` anywhere in a line for a command; it is
/// broken up by a space, or in JSON, where it can only be in a string, by an escape that means the same.
fn verdict(options: &Options, outcome: &render::Outcome<'_>) -> io::Result<String> {
    let mut bytes = Vec::new();
    let apart = match options.format {
        Format::Text => {
            print(&mut Plain::new(&mut bytes, Palette::of_stdout(options.color)), outcome)?;
            "## ["
        }
        Format::Json => {
            print(&mut Json(&mut bytes), outcome)?;
            "#\\u0023["
        }
    };
    Ok(String::from_utf8_lossy(&bytes).replace("##[", apart))
}

fn print<'a>(to: &mut dyn Reporter<render::Outcome<'a>>, outcome: &render::Outcome<'a>) -> io::Result<()> {
    to.report(outcome)?;
    to.finish()
}

fn fill(draft: Draft, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(draft.writer()?);
    let written = write(&mut out).and_then(|()| out.flush());
    reader_may_go(written).with_context(|| format!("{} cannot be written", shown(draft.path())))?;
    Ok(draft.complete()?)
}

fn reader_may_go(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
