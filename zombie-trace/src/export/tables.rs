//! The tables and the meaning of every column.

use super::column::{Columns, Heading, Kind, Value};
use crate::{
    container::Container,
    diagnosis::{Cause, StopCause},
    model::{Disposition, DropReason, Precision, Relation, Via},
    report::{
        EndedRecord, ExitRecord, Finding, ForkFailureRecord, Moment, ParentRecord, PathRecord, ProcessRecord, Report,
        StopRecord, Window,
    },
};

/// The first columns of every table, which distinguish the exports of many nodes.
pub(super) fn common() -> [Heading; 2] {
    [("host", "Name of the host."), ("boot_id", "Id of the boot: `/proc/sys/kernel/random/boot_id`.")]
        .map(|(name, meaning)| Heading { name: name.to_owned(), kind: Kind::Text, meaning: meaning.to_owned() })
}

pub(super) struct Table<R> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) columns: Columns<R>,
}

/// A zombie, current or gone.
pub(super) struct ZombieRow {
    pub(super) process: ProcessRecord,
    pub(super) exit: Option<ExitRecord>,
    pub(super) began: Option<jiff::Timestamp>,
    pub(super) ended: Option<jiff::Timestamp>,
    pub(super) zombie_ns: u64,
    pub(super) precision: Precision,
    pub(super) preexisting: bool,
    pub(super) parent: Option<ProcessRecord>,
    pub(super) reaper: Option<ProcessRecord>,
    pub(super) via: Option<Via>,
    pub(super) cause: Option<Cause>,
    pub(super) evidence: Vec<String>,
}

/// A signal that did not reach an init.
pub(super) struct DropRow {
    pub(super) time: Moment,
    pub(super) signal: String,
    pub(super) number: u32,
    pub(super) target: ProcessRecord,
    pub(super) reason: DropReason,
    pub(super) relation: Relation,
    pub(super) sender: Option<ProcessRecord>,
}

/// A record with its report.
pub(super) struct Within<R> {
    pub(super) window: Window,
    pub(super) record: R,
}

type Get<R> = for<'a> fn(&'a R) -> Option<&'a ProcessRecord>;

fn container(process: Option<&ProcessRecord>) -> Option<&Container> {
    process?.container.as_ref()
}

/// The columns of a process: its identity, and, if `full`, all that is known about it.
fn process<R: 'static>(columns: Columns<R>, prefix: &str, who: &str, full: bool, get: Get<R>) -> Columns<R> {
    let name = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}_{name}") };
    let columns = columns
        .integer(&name("pid"), &format!("Pid of {who} on the host."), move |row| {
            Value::or_null(get(row).map(|it| it.pid))
        })
        .integer(
            &name("start_ns"),
            &format!("When {who} started, ns of the boot clock; pid and this time together identify the process."),
            move |row| Value::or_null(get(row).map(|it| it.start_ns)),
        )
        .text(&name("comm"), &format!("Name of {who}."), move |row| Value::or_null(get(row).map(|it| &it.comm)));
    if !full {
        return columns;
    }
    columns
        .text(&name("exe"), &format!("Path of the executable of {who}."), move |row| {
            Value::or_null(get(row).and_then(|it| it.exe.as_ref()))
        })
        .text(&name("cmdline"), &format!("Arguments of {who}, joined by spaces."), move |row| {
            Value::or_null(get(row).and_then(|it| it.cmdline.as_ref()))
        })
        .integer(&name("ns_pid"), &format!("Pid of {who} in its own pid namespace."), move |row| {
            Value::or_null(get(row).and_then(|it| it.ns_pid))
        })
        .integer(&name("pid_ns"), "Inode of that namespace.", move |row| {
            Value::or_null(get(row).and_then(|it| it.pid_ns))
        })
        .text(&name("runtime"), &format!("Runtime of the container that {who} is in."), move |row| {
            Value::or_null(container(get(row)).map(|it| it.runtime.as_str()))
        })
        .text(&name("container_id"), "Id of that container.", move |row| {
            Value::or_null(container(get(row)).map(|it| &it.id))
        })
        .text(&name("container_name"), "Name of that container.", move |row| {
            Value::or_null(container(get(row)).and_then(|it| it.name.as_ref()))
        })
        .text(&name("pod"), "Its Kubernetes pod.", move |row| {
            Value::or_null(container(get(row)).and_then(|it| it.pod.as_ref()))
        })
        .text(&name("namespace"), "Its Kubernetes namespace.", move |row| {
            Value::or_null(container(get(row)).and_then(|it| it.namespace.as_ref()))
        })
}

/// The columns of how a process ended.
fn exit<R: 'static>(columns: Columns<R>, get: for<'a> fn(&'a R) -> Option<&'a ExitRecord>) -> Columns<R> {
    columns
        .integer("exit_code", "Exit code; null if a signal killed it, or if the exit was not seen.", move |row| {
            match get(row) {
                Some(ExitRecord::Code { code }) => u32::from(*code).into(),
                _ => Value::Null,
            }
        })
        .text(
            "exit_signal",
            "Signal that killed it; null if it exited by itself, or if that was not seen.",
            move |row| match get(row) {
                Some(ExitRecord::Signal { signal, .. }) => signal.into(),
                _ => Value::Null,
            },
        )
}

fn window<R: 'static>(columns: Columns<R>, get: for<'a> fn(&'a R) -> &'a Window) -> Columns<R> {
    columns.time("window_start", "Start of the time that is covered.", move |row| Value::time(get(row).start)).time(
        "window_end",
        "End of that time.",
        move |row| Value::time(get(row).end),
    )
}

fn listed(texts: &[String]) -> Value<'_> {
    if texts.is_empty() { Value::Null } else { Value::text(texts.join("; ")) }
}

pub(super) fn reports() -> Table<Report> {
    let columns =
        window(Columns::new().text("kernel", "Release of its kernel.", |it: &Report| (&it.kernel).into()), |it| {
            &it.window
        })
        .integer("lost_events", "Events that did not fit into the ring buffer.", |it| it.loss.events.into())
        .integer("evicted", "Processes that did not fit into a table.", |it| it.loss.evicted.into())
        .integer("exits", "Processes that exited.", |it| it.totals.exits.into())
        .integer("zombies", "Zombies, of any age.", |it| it.totals.zombies.into())
        .integer("reaped", "How many of these were reaped.", |it| it.totals.reaped.into())
        .integer("auto_reaped", "Children without a zombie, because the parent discards the status.", |it| {
            it.totals.auto_reaped.into()
        })
        .integer("zombies_now", "Zombies at the end, of any age.", |it| it.totals.zombies_now.into())
        .integer("p50_ns", "Time to reap, of zombies of any age: the median.", |it| Value::or_null(it.latency.p50_ns))
        .integer("p90_ns", "The 90th percentile.", |it| Value::or_null(it.latency.p90_ns))
        .integer("p99_ns", "The 99th percentile.", |it| Value::or_null(it.latency.p99_ns))
        .integer("max_ns", "The longest.", |it| Value::or_null(it.latency.max_ns));
    Table {
        name: "reports",
        meaning: "The time covered and its totals: one row per file, even if nothing was found.",
        columns,
    }
}

pub(super) fn zombies() -> Table<ZombieRow> {
    let columns = Columns::new()
        .time("began", "When it became a zombie, or was first seen as one.", |it: &ZombieRow| {
            it.began.map_or(Value::Null, Value::Time)
        })
        .time("ended", "When it was reaped or freed; null if it was still a zombie at the end.", |it| {
            it.ended.map_or(Value::Null, Value::Time)
        })
        .integer("zombie_ns", "How long it was a zombie, ns.", |it| it.zombie_ns.into())
        .text(
            "precision",
            "How exactly that is known: `exact`, `upper-bound` or `lower-bound`; `lower-bound` also if it was still a zombie.",
            |it| it.precision.id().into(),
        )
        .flag("preexisting", "It was a zombie before tracing began.", |it| it.preexisting.into());
    let columns = process(columns, "", "the zombie", true, |it| Some(&it.process));
    let columns = exit(columns, |it| it.exit.as_ref());
    let columns = process(columns, "parent", "who could have waited", true, |it| it.parent.as_ref());
    let columns = process(columns, "reaper", "who reaped it", false, |it| it.reaper.as_ref())
        .text(
            "via",
            "How it was reaped: `wait4`, `waitid`, `auto`, `kernel` or `unknown`; null if it was still a zombie.",
            |it| Value::or_null(it.via.map(Via::id)),
        )
        .text("cause", "Why it was not reaped: a stable id; null if there was no cause yet.", |it| {
            Value::or_null(it.cause.map(Cause::id))
        })
        .text("evidence", "The evidence, one sentence each.", |it| listed(&it.evidence));
    Table { name: "zombies", meaning: "Zombies that reached `--min-age`, reaped or not.", columns }
}

pub(super) fn parents() -> Table<Within<ParentRecord>> {
    let columns = window(Columns::new(), |it: &Within<ParentRecord>| &it.window);
    let columns = process(columns, "", "the parent", true, |it| Some(&it.record.process))
        .text("cause", "Why its zombies are not reaped: a stable id.", |it| it.record.cause.id().into())
        .text("evidence", "The evidence, one sentence each.", |it| listed(&it.record.evidence))
        .text("advice", "What to do.", |it| (&it.record.advice).into())
        .integer("zombies_now", "Zombies it has at the end, of any age.", |it| it.record.zombies_now.into())
        .integer("zombies_total", "Zombies that reached `--min-age`.", |it| it.record.zombies_total.into())
        .integer("oldest_ns", "Age of its oldest zombie at the end; null if it has none.", |it| {
            Value::or_null(it.record.oldest_ns)
        })
        .integer("p50_ns", "Time to reap: the median.", |it| Value::or_null(it.record.latency.p50_ns))
        .integer("p99_ns", "The 99th percentile.", |it| Value::or_null(it.record.latency.p99_ns))
        .integer("max_ns", "The longest.", |it| Value::or_null(it.record.latency.max_ns))
        .text("damage", "What its zombies cost at the end, in words; null if no limit is near or known.", |it| {
            Value::or_null(it.record.damage.as_ref().and_then(|it| it.summary.as_ref()))
        });
    Table { name: "parents", meaning: "Parents that left zombies unreaped.", columns }
}

pub(super) fn dropped_signals() -> Table<DropRow> {
    let columns = Columns::new()
        .time("time", "When it was sent.", |it: &DropRow| Value::time(it.time))
        .text("signal", "Name of the signal.", |it| (&it.signal).into())
        .integer("number", "Its number.", |it| it.number.into())
        .text("reason", "Why it did not reach PID 1: a stable id.", |it| it.reason.id().into())
        .text("relation", "From where: `inside` or `outside` of its pid namespace, or `kernel`.", |it| {
            it.relation.id().into()
        });
    let columns = process(columns, "", "the PID 1", true, |it| Some(&it.target));
    let columns = process(columns, "sender", "who sent it", false, |it| it.sender.as_ref());
    Table {
        name: "dropped_signals",
        meaning: "Signals that did not reach a PID 1: one row for each signal sent.",
        columns,
    }
}

pub(super) fn stops() -> Table<StopRecord> {
    let columns = Columns::new()
        .time("time", "When the stop signal was sent.", |it: &StopRecord| Value::time(it.sent))
        .text("outcome", "`clean`, `slow` or `failed`.", |it| it.outcome.id().into())
        .text("signal", "Name of the signal.", |it| (&it.signal).into())
        .integer("number", "Its number.", |it| it.number.into())
        .text("relation", "From where: `inside` or `outside` of its pid namespace, or `kernel`.", |it| {
            it.relation.id().into()
        })
        .text("reason", "Why it did not reach PID 1: a stable id; null if it did.", |it| {
            Value::or_null(it.reason.map(DropReason::id))
        })
        .integer("took_ns", "From the signal to the end, ns.", |it| it.took_ns.into());
    let columns = process(columns, "", "the PID 1", true, |it| Some(&it.target));
    let columns = exit(columns, |it| Some(&it.exit));
    let columns = process(columns, "sender", "who sent the signal", false, |it| it.sender.as_ref());
    let columns = process(columns, "killer", "who killed it", false, |it| it.killed_by.as_ref())
        .integer(
            "killed_without_term",
            "Processes of the namespace that were killed without having received SIGTERM or that signal.",
            |it| (it.killed_without_term.len() as u64).saturating_add(it.more_killed_without_term).into(),
        )
        .flag("uncertain", "Events were lost meanwhile, so it is unknown who received a signal.", |it| {
            it.uncertain.into()
        })
        .text("cause", "Why the stop went wrong: a stable id; null for a clean stop.", |it| {
            Value::or_null(it.cause.map(StopCause::id))
        })
        .text("evidence", "The evidence for the cause.", |it| listed(&it.evidence))
        .text("advice", "What to do; null if there is nothing to do.", |it| Value::or_null(it.advice.as_ref()));
    Table { name: "stops", meaning: "Completed stops of PID 1s.", columns }
}

/// A process of a stop.
pub(super) struct PathRow {
    pub(super) sent: Moment,
    pub(super) init: ProcessRecord,
    pub(super) part: PathRecord,
}

pub(super) fn stop_path() -> Table<PathRow> {
    let columns = Columns::new()
        .time("time", "When the stop signal was sent to PID 1.", |it: &PathRow| Value::time(it.sent))
        .integer("depth", "Its depth below PID 1, which has depth 0.", |it| it.part.depth.into())
        .text("signal", "The signal that it was sent; null if no such signal was seen.", |it| {
            Value::or_null(it.part.signal.as_ref())
        })
        .integer("sent_after_ns", "When that signal was first sent, as time since the stop began.", |it| {
            Value::or_null(it.part.sent_after_ns)
        })
        .text(
            "disposition",
            "What it does with the stop signal: `handler`, `default`, `ignored` or `blocked`; null if unknown.",
            |it| Value::or_null(it.part.disposition.map(Disposition::id)),
        )
        .text("doing", "What it was doing when it was last sampled; null if it was not sampled.", |it| {
            Value::or_null(it.part.doing.as_ref())
        })
        .integer("ended_after_ns", "When it ended, as time since the stop began; null if it still runs.", |it| {
            Value::or_null(it.part.ended_after_ns)
        })
        .text("summary", "All of this in words.", |it| (&it.part.summary).into());
    let columns = process(columns, "", "the process", true, |it| Some(&it.part.process));
    let columns = exit(columns, |it| it.part.exit.as_ref());
    let columns = process(columns, "sender", "who sent it the signal", false, |it| it.part.sender.as_ref());
    let columns = process(columns, "init", "the PID 1", false, |it| Some(&it.init));
    Table {
        name: "stop_path",
        meaning: "The processes of stops: those that were sent the signal, were killed, or still run.",
        columns,
    }
}

pub(super) fn ended() -> Table<EndedRecord> {
    let columns = Columns::new()
        .time("time", "When it exited.", |it: &EndedRecord| Value::time(it.time))
        .flag("is_pid_1", "Whether it was PID 1 of a pid namespace.", |it| it.is_pid_1.into())
        .integer(
            "exit_status",
            "As a shell or a container runtime shows it: 128 plus the signal number if a signal killed it.",
            |it| it.exit_status.into(),
        )
        .text("way", "The kind of end: a stable id.", |it| it.way.id().into())
        .time("sent", "When the signal that killed it was sent; null if that was not seen.", |it| {
            it.sent.map_or(Value::Null, Value::time)
        })
        .text(
            "relation",
            "From where: `inside` or `outside` of its pid namespace, or `kernel`; null if not seen.",
            |it| Value::or_null(it.relation.map(Relation::id)),
        )
        .text("cgroup", "Its cgroup, if the OOM killer chose it.", |it| Value::or_null(it.cgroup.as_ref()))
        .integer(
            "memory_limit",
            "If the OOM killer chose it, the lowest memory limit of its cgroup and those above it, in bytes; null if \
             it has no limit, or the limit is not known.",
            |it| Value::or_null(it.memory_limit),
        )
        .text("evidence", "The evidence, one sentence each.", |it| listed(&it.evidence))
        .text("advice", "What to do; null if there is nothing to do.", |it| Value::or_null(it.advice.as_ref()))
        .text("would_decide", "What would decide it; null if it is known.", |it| {
            Value::or_null(it.would_decide.as_ref())
        })
        .flag("uncertain", "Not everything that could have ended it was seen.", |it| it.uncertain.into());
    let columns = process(columns, "", "who ended", true, |it| Some(&it.process));
    let columns = exit(columns, |it| Some(&it.exit));
    let columns = process(columns, "sender", "who sent the signal", false, |it| it.sender.as_ref());
    Table {
        name: "ended",
        meaning: "How PID 1s ended, and, with `--ends`, every process that a signal killed.",
        columns,
    }
}

pub(super) fn fork_failures() -> Table<ForkFailureRecord> {
    let columns = Columns::new()
        .time("first", "The first time.", |it: &ForkFailureRecord| Value::time(it.first))
        .time("last", "End of that time.", |it| Value::time(it.last))
        .integer("count", "How many times at least.", |it| it.count.into())
        .text("errno", "`EAGAIN` or `ENOMEM`.", |it| it.errno.into())
        .text(
            "limit_kind",
            "`pids.max`, `rlimit`, `pid_max`, `threads-max`, `dead-pid-namespace` or `unknown`.",
            |it| it.limit.id().into(),
        )
        .text("limit_path", "The cgroup, for `pids.max`.", |it| Value::or_null(it.path.as_ref()))
        .integer("used", "Pids in use then.", |it| Value::or_null(it.used))
        .integer("allowed", "Pids allowed.", |it| Value::or_null(it.allowed))
        .integer("zombies", "Zombies that counted against the limit.", |it| it.zombies.into())
        .integer("parent_zombies", "How many of these belonged to the parent with the most.", |it| {
            it.parent_zombies.into()
        });
    let columns = process(columns, "", "who could not fork", true, |it| Some(&it.process));
    let columns = process(columns, "parent", "that parent", false, |it| it.parent.as_ref());
    Table { name: "fork_failures", meaning: "Forks that failed, by process and limit.", columns }
}

pub(super) fn findings() -> Table<Within<Finding>> {
    let columns = window(Columns::new(), |it: &Within<Finding>| &it.window)
        .text("id", "Id of the finding: the same from run to run and from host to host.", |it| (&it.record.id).into())
        .text("severity", "`error`, `warning` or `note`.", |it| it.record.severity.id().into())
        .text("title", "In a few words.", |it| (&it.record.title).into())
        .text("detail", "In a sentence or two.", |it| (&it.record.detail).into());
    let columns = process(columns, "", "whose fault it is", true, |it| Some(&it.record.process));
    Table { name: "findings", meaning: "The findings, as in the report.", columns }
}

fn describe<R>(manual: &mut String, table: &Table<R>) {
    let headings = common().into_iter().chain(table.columns.0.iter().map(|it| it.heading.clone()));
    manual.push_str(&format!(
        "\n## {}\n\n{}\n\n| column | type | meaning |\n| --- | --- | --- |\n",
        table.name, table.meaning
    ));
    for Heading { name, kind, meaning } in headings {
        manual.push_str(&format!("| `{name}` | {} | {meaning} |\n", kind.sql()));
    }
}

/// The tables and their columns, as Markdown.
#[must_use]
pub fn manual() -> String {
    let mut manual = String::new();
    describe(&mut manual, &reports());
    describe(&mut manual, &zombies());
    describe(&mut manual, &parents());
    describe(&mut manual, &dropped_signals());
    describe(&mut manual, &stops());
    describe(&mut manual, &stop_path());
    describe(&mut manual, &ended());
    describe(&mut manual, &fork_failures());
    describe(&mut manual, &findings());
    manual.trim_start().to_owned()
}
