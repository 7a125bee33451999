//! The steps of a run: what has gathered is taken out and applied, questions are asked and answered, and what there is to
//! tell is told.

use std::{
    ffi::OsString,
    io,
    os::unix::{ffi::OsStrExt, process::ExitStatusExt},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::Context;
use log::{trace, warn};

use super::{answers::Answers, command, names};
use crate::{
    commands::{ends::Ends, say},
    decode,
    event::{Event, Fact, What},
    output::Reporter,
    recording::{Ended, Recorder, Stop},
    report::{Report, Session},
    source::{
        asker::Scan,
        live::{Batch, Live},
        proc::boot_clock_now,
    },
    text::escape,
};

/// Why a run cannot go on.
pub(super) enum Halt {
    Output(io::Error),
    Recording(Stop),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Recording(stop)
    }
}

/// At most this long the end of what exited is waited for after the command's end.
const MAX_SETTLE: Duration = Duration::from_secs(3);
/// At most so many batches are read before it is looked for what else there is to do.
const BATCHES: usize = 16;
/// At most so many bytes wait for a scan to be over; if there are more, it is given up.
const MAX_HELD: usize = 64 << 20;
/// So long answers are waited for at the end.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

pub(super) struct Run<'a> {
    pub(super) live: Live,
    pub(super) session: Session,
    pub(super) output: &'a mut dyn Reporter,
    pub(super) recorder: Option<Recorder>,
    pub(super) answers: Answers,
    /// What was drained while a scan was under way, to be applied after it: a process that the scan found and that is gone
    /// by now must not come back.
    pub(super) held: Vec<Batch>,
    pub(super) held_bytes: usize,
    /// A file of the recording was begun after another, and is to be told what is known once it has what exists.
    pub(super) is_file_new: bool,
}

impl Run<'_> {
    /// Looks at what exists, and goes on draining meanwhile.
    ///
    /// What gathered while the probes were attached one after the other comes before: of a process that died then a part
    /// may be missing, its exit or that it was reaped. The scan knows whether it is still there.
    pub(super) fn begin(&mut self) -> anyhow::Result<()> {
        self.read();
        self.live.begin_scan()?;
        while self.live.is_scanning() {
            self.live.wait(Duration::from_millis(20));
            self.read();
            if let Some(scan) = self.live.take_scan(false) {
                if let Some(shortfall) = scan.shortfall() {
                    say(&format_args!("zombie-trace: {shortfall}"));
                }
                self.scanned(scan);
            }
        }
        Ok(())
    }

    /// Takes out what has gathered, then what had been answered before, and tells what there is to tell.
    pub(super) fn step(&mut self) -> Result<(), Halt> {
        let is_empty = self.hear();
        if let Some(scan) = self.live.take_scan(false) {
            if let Some(shortfall) = scan.shortfall() {
                warn!("{shortfall}");
            }
            self.scanned(scan);
        } else if is_empty && !self.live.is_scanning() {
            self.live.rescan_if_due();
        }
        self.settle()?;
        self.tell()?;
        if let Some(recorder) = &self.recorder {
            self.output.recorded(recorder.status())?;
        }
        Ok(self.output.flush_suppressed()?)
    }

    /// Takes the answers, drains the ring, and applies the answers for which all that is older is known; says whether the
    /// ring is empty now.
    fn hear(&mut self) -> bool {
        let answers = self.live.answers();
        self.answers.add(boot_clock_now(), answers);
        let is_empty = self.read();
        self.ask();
        self.answered(is_empty);
        is_empty
    }

    /// Applies the answers for which all that is older is known: with an empty ring all of them.
    fn answered(&mut self, is_empty: bool) {
        // While a scan is under way, what was drained has not been applied.
        if self.live.is_scanning() {
            return;
        }
        let known = (!is_empty).then(|| self.session.model().now());
        while let Some(event) = self.answers.next(known) {
            self.context(&event);
        }
        self.ask();
    }

    /// Drains the ring; says whether it is empty now.
    fn read(&mut self) -> bool {
        for _ in 0..BATCHES {
            let batch = self.live.drain();
            let more = batch.more;
            if self.live.is_scanning() {
                self.held_bytes += batch.bytes.len();
                self.held.push(batch);
                if self.held_bytes > MAX_HELD
                    && let Some(scan) = self.live.take_scan(true)
                {
                    self.scanned(scan);
                }
            } else {
                self.apply(&batch);
            }
            if !more {
                return true;
            }
        }
        false
    }

    fn apply(&mut self, batch: &Batch) {
        let times = || decode::events(&batch.bytes).filter_map(|event| Some(event.ok()?.time));
        if let Some((from, until)) = batch.pause.and_then(|pause| pause.between(times())) {
            self.context(&Event { time: batch.time, what: Fact::Paused { from, until }.into() });
        }
        self.wire(&batch.bytes);
        if batch.lost > 0 {
            // What still waits in the ring is older than the batch's end.
            let time = if batch.more { self.session.model().now() } else { batch.time };
            self.context(&Event { time, what: What::Loss { events: batch.lost } });
        }
        for &(map, refused) in &batch.full {
            // As with a loss.
            let time = if batch.more { self.session.model().now() } else { batch.time };
            self.context(&Event { time, what: What::Full { map, refused } });
        }
        if !batch.more {
            self.context(&Event { time: batch.time, what: What::Tick });
        }
    }

    fn tell(&mut self) -> io::Result<()> {
        while let Some(notice) = self.session.next_notice() {
            self.output.notice(&notice)?;
        }
        Ok(())
    }

    /// A scan is over: first what it found, then what happened meanwhile.
    fn scanned(&mut self, scan: Scan) {
        for event in scan.into_events() {
            self.context(&event);
        }
        if std::mem::take(&mut self.is_file_new) {
            // What was found is no news here, but in the file it is all there is.
            let time = self.session.model().now();
            for fact in self.session.model().snapshot() {
                self.context(&Event { time, what: fact.into() });
            }
            self.session.query_all_parents();
        }
        self.held_bytes = 0;
        for batch in std::mem::take(&mut self.held) {
            self.apply(&batch);
        }
        self.ask();
    }

    /// Goes on after the command has ended, until what it did before is sure to be known.
    ///
    /// What a parent discards is told only when the kernel frees it, and that takes a grace period of RCU. Zombies that
    /// stay are looked at for the same time, so it is bounded.
    pub(super) async fn outlast_command(&mut self, ends: &mut Ends, wait_for_daemons: Duration) -> Result<(), Halt> {
        let began = tokio::time::Instant::now();
        loop {
            self.step()?;
            let elapsed = began.elapsed();
            let is_settling = elapsed < MAX_SETTLE && self.session.is_settling(boot_clock_now());
            let is_awaited = elapsed < wait_for_daemons && self.session.has_running();
            if !is_settling && !is_awaited {
                return Ok(());
            }
            tokio::select! {
                biased;
                _ = ends.next(None, false) => return Ok(()),
                () = self.live.ready() => {}
            }
        }
    }

    /// Says so if nothing has matched the filters; `{}` in the words stands for them.
    pub(super) fn say_whether_anything_matches(&self, words: &str) {
        if !self.session.has_matched() && !self.session.scope().is_unlimited() {
            say(&format_args!("zombie-trace: {}", words.replace("{}", &self.session.scope().shown())));
        }
    }

    fn wire(&mut self, bytes: &[u8]) {
        if let Some(recorder) = &mut self.recorder {
            recorder.wire(bytes);
        }
        let mut count = 0;
        for event in decode::events(bytes) {
            match event {
                Ok(event) => {
                    trace!("{event:?}");
                    self.session.apply(&event);
                    count += 1;
                }
                // The programs and the decoder are of one build.
                Err(error) => warn!("{error}"),
            }
        }
        self.output.events(count);
    }

    fn context(&mut self, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.context(event);
        }
        self.session.apply(event);
    }

    /// Passes on what the model asks.
    fn ask(&mut self) {
        while let Some(query) = self.session.next_query() {
            self.live.ask(query);
        }
    }

    fn settle(&mut self) -> Result<(), Stop> {
        let is_answered = self.has_heard_all();
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        if is_answered {
            recorder.settle()?;
        } else {
            recorder.flush_if_due()?;
        }
        // A scan belongs into one file, with what was held for it.
        if !recorder.is_full() || self.live.is_scanning() {
            return Ok(());
        }
        recorder.rotate(self.session.model().now())?;
        // So that the new file can be read alone. The session hears it, too: both are to know the same.
        if let Err(error) = self.live.begin_scan() {
            warn!("{error}");
        }
        self.is_file_new = true;
        Ok(())
    }

    /// Waits for the answers to what was asked, but not for long: they may never come.
    fn hear_out(&mut self) {
        let deadline = Instant::now() + LAST_ANSWERS;
        self.ask();
        while !self.has_heard_all() && Instant::now() < deadline {
            self.live.wait(Duration::from_millis(10));
            self.hear();
            if let Some(scan) = self.live.take_scan(false) {
                self.scanned(scan);
            }
            self.ask();
        }
        if let Some(scan) = self.live.take_scan(true) {
            self.scanned(scan);
        }
        self.answered(true);
    }

    /// Whether all queries have been answered, and the answers applied.
    fn has_heard_all(&self) -> bool {
        self.live.is_idle() && self.answers.is_empty()
    }

    pub(super) fn finish(
        mut self,
        argv: &[OsString],
        end: Option<ExitStatus>,
        mut stopped: Option<Stop>,
    ) -> anyhow::Result<(Report, Option<Stop>)> {
        // A scan that is under way holds back what has happened.
        self.hear_out();
        // Whether something was discarded the kernel tells when it frees its memory, which may take long. What of the command
        // is not in `/proc` is gone.
        if end.is_some()
            && self.session.is_discarding()
            && let Err(error) = self.live.begin_scan()
        {
            warn!("{error}");
        }
        self.hear_out();
        match self.step() {
            Ok(()) => {}
            Err(Halt::Recording(stop)) => stopped = Some(stop),
            Err(Halt::Output(error)) => return Err(error).context("the output cannot be written"),
        }
        self.session.query_all_parents();
        self.hear_out();
        self.session.settle_following();
        self.say_whether_anything_matches("no process matched {}");
        let argv = argv.iter().map(|it| escape::text(it.as_os_str().as_bytes()).into_owned()).collect();
        let ended = Ended { argv, status: end.map(|status| status.into_raw().cast_unsigned()) };
        if let Some(recorder) = self.recorder.take() {
            match recorder.finish(ended.clone()) {
                Ok(status) => self.output.recorded(status).context("the output cannot be written")?,
                Err(stop) => stopped = stopped.or(Some(stop)),
            }
        }
        let (host, kernel) = names();
        self.session.conclude();
        self.tell().context("the output cannot be written")?;
        let mut report = self.session.report(&host, &kernel);
        report.command = command(ended);
        let printed = self.output.report(&report).and_then(|()| self.output.finish());
        match printed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(error).context("the output cannot be written")
            }
            _ => Ok((report, stopped)),
        }
    }
}
