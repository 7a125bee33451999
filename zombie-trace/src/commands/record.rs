//! `record`: keep what happens for later, and say only how it goes.

use std::{io, path::PathBuf, time::Duration};

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};

use super::{run, say};
use crate::{
    commands::Exit,
    output::Reporter,
    recording::{Limits, Recorder, Status},
    report::{Notice, Report},
};

/// What to do.
#[derive(Debug)]
pub struct Options {
    /// What to trace.
    pub run: run::Options,
    /// Where to.
    pub output: PathBuf,
    /// How much.
    pub limits: Limits,
}

/// Records until the time is over, the command has ended, a signal asks for the end, or the disk is too full.
///
/// # Errors
/// Tracing could not begin, or the file could not be made.
pub fn run(options: &Options) -> anyhow::Result<Exit> {
    let recorder = Recorder::create(options.output.clone(), &options.limits)?;
    let mut progress = Progress::new();
    match run::run(&options.run, &mut progress, Some(recorder))? {
        // What was found is the report's to say, and what was lost is in it.
        Exit::Findings => Ok(Exit::Clean),
        Exit::Unmeasured if progress.finished && progress.lost > 0 => {
            say(&format_args!("zombie-trace: {} events were lost", progress.lost));
            Ok(Exit::Unmeasured)
        }
        exit => Ok(exit),
    }
}

/// A line on the terminal, if there is one.
struct Progress {
    bar: ProgressBar,
    events: u64,
    lost: u64,
    status: Status,
    finished: bool,
}

/// How often the line is drawn anew.
const DRAW_EVERY: Duration = Duration::from_millis(500);

impl Progress {
    fn new() -> Self {
        // Nothing is drawn where standard error is no terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise}  {msg}") {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(DRAW_EVERY);
        }
        Self { bar, events: 0, lost: 0, status: Status::default(), finished: false }
    }

    fn words(&self) -> String {
        let files = match self.status.files {
            0 | 1 => String::new(),
            files => format!(" in {files} files"),
        };
        let (events, bytes) = (HumanCount(self.events), HumanBytes(self.status.bytes));
        format!("{events} events, {} lost, {bytes}{files}", HumanCount(self.lost))
    }
}

impl Reporter for Progress {
    fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        if let Notice::Loss { events, .. } = notice {
            self.lost += events;
        }
        Ok(())
    }

    fn flush_suppressed(&mut self) -> io::Result<()> {
        if !self.bar.is_hidden() {
            self.bar.set_message(self.words());
        }
        Ok(())
    }

    fn events(&mut self, count: u64) {
        self.events += count;
    }

    fn recorded(&mut self, status: Status) -> io::Result<()> {
        self.status = status;
        Ok(())
    }

    fn report(&mut self, report: &Report) -> io::Result<()> {
        self.lost = report.loss.events;
        self.finished = true;
        self.bar.finish_and_clear();
        say(&format_args!("recorded {}", self.words()));
        Ok(())
    }
}
