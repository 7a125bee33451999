// The parents with cause, evidence and advice; signals, stops and whatever else was found; and the zombies as a table.
(() => {
  const badge = (text, kind = "") => zt.el("span", { class: `badge ${kind}` }, text);

  /** A container of the report's lists in a few words, as the timeline calls it. */
  const containerLabel = (run, container) => {
    if (!container) return "";
    return run.containers.find((it) => it.id === container.id)?.label ?? `${container.runtime} ${container.id.slice(0, 12)}`;
  };

  const process = (run, it) => {
    if (!it) return "not known";
    const inner = it.ns_pid && it.ns_pid !== it.pid ? `pid ${it.ns_pid} in its namespace` : "";
    const where = [containerLabel(run, it.container), inner].filter(Boolean).join(", ");
    return zt.el("div", {}, zt.el("strong", {}, it.comm), ` (${it.pid})`, where ? zt.el("div", { class: "dim small" }, where) : null);
  };

  const facts = (...pairs) => zt.el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value !== undefined && value !== null && value !== "")
    .flatMap(([name, value]) => [zt.el("dt", {}, name), zt.el("dd", {}, ...[value].flat())]));
  const lines = (texts) => zt.el("ul", { class: "evidence" }, ...texts.map((text) => zt.el("li", {}, text)));
  const code = (text) => (text ? zt.el("code", {}, text) : "");

  let parents = null;
  const drawParents = (run) => {
    const { shown, left_out: leftOut } = run.report.parents;
    const entries = shown.map((parent, rank) => ({ ...parent, rank, anchor: `parent-${rank}` }));
    parents = zt.list("parents", "No parent let a zombie wait for as long as this report asks for.", {
      caption: "Zombies by parent, the worst first", entries, leftOut,
      columns: [
        { title: "#", number: true, cell: ({ rank }) => zt.count(rank + 1) },
        { title: "Parent", cell: (it) => process(run, it.process) },
        { title: "Cause", cell: (it) => zt.el("div", {}, badge(it.cause, it.zombies_now > 0 ? "bad" : ""), ...(it.contributing ?? []).map((other) => badge(other, "quiet-badge"))) },
        { title: "Zombies now", number: true, cell: (it) => zt.count(it.zombies_now) },
        { title: "In all", number: true, cell: (it) => zt.count(it.zombies_total) },
        { title: "Oldest now", number: true, cell: (it) => zt.duration(it.oldest_ns) },
        { title: "99 % reaped within", number: true, cell: (it) => zt.duration(it.latency.p99_ns) },
      ],
      detail: (it) => facts(
        ["Evidence", lines(it.evidence)], ["Advice", it.advice], ["Impact", it.damage?.summary],
        ["Command", code(it.process.cmdline)], ["Executable", code(it.process.exe)], ["Container", it.process.container?.id]),
      open: (_, index) => index < 3,
    });
  };

  /** Leads from the timeline to what is said of a parent. */
  zt.goToParent = (rank) => {
    if (!Number.isFinite(rank)) return;
    parents.reach?.(rank + 1);
    const line = zt.byId(`parent-${rank}`);
    line.expand();
    line.scrollIntoView({ block: "center" });
    line.focus({ preventScroll: true });
  };

  const sender = (it) => `${it.process ? zt.processName(it.process) : "the kernel"}${it.process?.parent ? `, parent ${zt.processName(it.process.parent)}` : ""}, ${it.relation}${it.count > 1 ? `, ${zt.count(it.count)}×` : ""}`;

  const drawSignals = (run) => zt.list("signals", "No PID 1 missed a signal.", {
    caption: "Signals that did not reach PID 1", entries: run.report.dropped_signals.shown, leftOut: run.report.dropped_signals.left_out,
    columns: [
      { title: "PID 1", cell: (it) => process(run, it.target) },
      { title: "Signal", cell: (it) => it.signal },
      { title: "Why", cell: (it) => badge(it.reason, "warn") },
      { title: "Times", number: true, cell: (it) => zt.count(it.count) },
      { title: "From", cell: (it) => lines(it.senders.map(sender)) },
      { title: "Then", cell: (it) => (it.then_after_ns === null ? it.then : `${it.then} ${zt.duration(it.then_after_ns)} later`) },
      { title: "Advice", cell: (it) => (it.advice ? zt.el("details", {}, zt.el("summary", {}, "Advice"), it.advice) : "–") },
    ],
  });

  const exit = (it) => (!it ? "not seen" : it.signal ? `killed by ${it.signal}` : `exit ${it.code}`);

  const drawStops = (run) => zt.list("stops", "No PID 1 got a stop signal.", {
    caption: "Stops of inits", entries: run.report.stops.shown, leftOut: run.report.stops.left_out,
    columns: [
      { title: "PID 1", cell: (it) => process(run, it.target) },
      { title: "Outcome", cell: (it) => zt.el("div", {}, badge(it.outcome, { failed: "bad", slow: "warn" }[it.outcome] ?? "good"), it.uncertain ? badge("uncertain: events were lost", "warn") : null) },
      { title: "Stop signal", cell: (it) => `${it.signal}, ${zt.when(it.sent)}, from ${zt.processName(it.sender)}` },
      { title: "Took", number: true, cell: (it) => zt.duration(it.took_ns) },
      { title: "End", cell: (it) => `${exit(it.exit)}${it.killed_by ? `, by ${zt.processName(it.killed_by)}` : ""}` },
      { title: "Cause", cell: (it) => (it.cause ? zt.el("div", {}, badge(it.cause, it.outcome === "failed" ? "bad" : "warn"), zt.el("details", {}, zt.el("summary", {}, "Evidence and advice"), lines(it.evidence), zt.el("p", {}, it.advice), it.path.length > 1 ? zt.el("ul", { class: "evidence" }, ...it.path.map((part) => zt.el("li", { style: `margin-left: ${Math.min(part.depth, 12)}em` }, zt.el("strong", {}, part.process.comm), ` (${part.process.pid}): ${part.summary}`))) : null)) : "–") },
      { title: "Killed without a stop signal", number: true, cell: (it) => zt.count(it.killed_without_term.length + it.more_killed_without_term) },
    ],
  });

  const section = (title, table) => zt.el("section", { class: "panel" }, zt.el("h2", {}, title), table);

  const drawMore = (run) => {
    const { ended, fork_failures: forks, stuck, others } = run.report;
    zt.fill("more",
      ended.shown.length > 0 && section("How processes ended", zt.table({
        caption: "How processes ended, PID 1s first", entries: ended.shown, leftOut: ended.left_out,
        columns: [
          { title: "Process", cell: (it) => zt.el("div", {}, process(run, it.process), it.is_pid_1 ? badge("PID 1") : null) },
          { title: "End", cell: (it) => exit(it.exit) },
          { title: "Status", number: true, cell: (it) => zt.count(it.exit_status) },
          { title: "Way", cell: (it) => zt.el("div", {}, badge(it.way), it.uncertain ? badge("uncertain: not all was seen", "warn") : null) },
          { title: "By", cell: (it) => (it.sender ? zt.processName(it.sender) : "–") },
          { title: "When", cell: (it) => zt.when(it.time) },
        ],
        detail: (it) => facts(["Evidence", lines(it.evidence)], ["Advice", it.advice], ["Open", it.would_decide]),
      })),
      forks.shown.length > 0 && section("Failed forks", zt.table({
        caption: "Failed forks", entries: forks.shown, leftOut: forks.left_out,
        columns: [
          { title: "Process", cell: (it) => process(run, it.process) },
          { title: "Limit", cell: (it) => zt.el("div", {}, badge(it.limit, "warn"), ` ${it.errno}`) },
          { title: "In use", number: true, cell: (it) => `${it.used === null ? "–" : zt.count(it.used)} of ${it.allowed === null ? "–" : zt.count(it.allowed)}` },
          { title: "Zombies", number: true, cell: (it) => zt.count(it.zombies) },
          { title: "Most of them of", cell: (it) => (it.parent ? `${zt.processName(it.parent)}: ${zt.count(it.parent_zombies)}` : "–") },
          { title: "At least", number: true, cell: (it) => `${zt.count(it.count)}×` },
        ],
      })),
      stuck.shown.length > 0 && section("Processes stuck while exiting", zt.table({
        caption: "Processes stuck while exiting", entries: stuck.shown, leftOut: stuck.left_out,
        columns: [
          { title: "Process", cell: (it) => process(run, it.process) },
          { title: "Cause", cell: (it) => badge(it.cause, "warn") },
          { title: "Stuck for", number: true, cell: (it) => zt.duration(it.age_ns) },
          { title: "Since", cell: (it) => zt.when(it.since) },
        ],
        detail: (it) => facts(["Evidence", lines(it.evidence)], ["Advice", it.advice]),
      })),
      others.length > 0 && section("Also found", zt.table({
        caption: "Other findings", entries: others,
        columns: [
          { title: "", cell: (it) => badge(it.severity, { error: "bad", warning: "warn" }[it.severity] ?? "") },
          { title: "Finding", cell: (it) => zt.el("div", {}, zt.el("strong", {}, it.title), zt.el("div", { class: "dim" }, it.detail)) },
          { title: "Process", cell: (it) => process(run, it.process) },
        ],
      })));
  };

  const drawZombies = (run) => {
    const { zombies } = run;
    const longest = Array.from(run.selected).sort((a, b) => zombies.length[b] - zombies.length[a] || a - b);
    const line = (index) => Object.fromEntries(zt.describeZombie(run, index).map(([name, value]) => (value === undefined ? ["name", name] : [name, value])));
    zt.list("zombies", run.zombies.count === 0 ? "There are none." : "None is selected.", {
      caption: "The selected zombies, the longest waits first", entries: longest,
      columns: [
        { title: "Zombie", cell: (index) => line(index).name },
        { title: "Ended", cell: (index) => line(index).ended },
        { title: "Since", cell: (index) => line(index).since },
        { title: "Waited", number: true, cell: (index) => line(index).waited ?? line(index)["waits for"] },
        { title: "Parent", cell: (index) => line(index).parent },
        { title: "Cause", cell: (index) => line(index).cause },
        { title: "Reaped", cell: (index) => line(index).reaped ?? "–" },
      ],
    });
  };

  zt.drawLists = (run) => [drawParents, drawSignals, drawStops, drawMore].forEach((draw) => draw(run));
  zt.drawZombies = drawZombies;
})();
