// The report in numbers, and what they are worth.
(() => {
  const severity = (report) => {
    const { error, warning, note } = report.severities;
    const parts = [[error, "error", "errors"], [warning, "warning", "warnings"], [note, "note", "notes"]].filter(([count]) => count > 0);
    return parts.map(([count, one, many]) => zt.plural(count, one, many)).join(", ");
  };

  const notice = (kind, ...content) => zt.el("p", { class: `notice ${kind}` }, ...content);

  /** What this page does not know or does not show. */
  const notices = (run) => {
    const { report } = run;
    const { timeline, loss } = report;
    const uncertain = run.texts.map((text) => text === "upper-bound" || text === "lower-bound");
    let bounds = 0;
    for (let index = 0; index < run.zombies.count; index++) bounds += uncertain[run.zombies.precision[index]] ? 1 : 0;
    return [
      loss.events > 0 && notice("bad", `${zt.plural(loss.events, "event was", "events were")} lost. Findings that depend on them are unknown: zombies may be missing or end too late here, and causes are "unknown" rather than guessed.`),
      loss.evicted > 0 && notice("bad", `${zt.plural(loss.evicted, "process was", "processes were")} not followed, because a table was full.`),
      loss.unfollowed > 0 && notice("bad", `${zt.plural(loss.unfollowed, "process was", "processes were")} not followed, because the kernel's map of followed processes was full.`),
      loss.uncounted_waits > 0 && notice("bad", `${zt.plural(loss.uncounted_waits, "wait call was", "wait calls were")} not counted, because the kernel's map of wait counters was full: causes may be "unknown".`),
      loss.unknown_waits > 0 && notice("bad", `${zt.plural(loss.unknown_waits, "wait call was", "wait calls were")} seen without arguments, because the kernel's map of wait calls was full: causes may be "unknown".`),
      timeline.left_out > 0 && notice("warn", `${zt.plural(timeline.left_out, "zombie is", "zombies are")} not drawn, to keep the page fast: only the ${zt.count(timeline.count)} that stayed longest are. All are in the totals.`),
      timeline.marks_left_out > 0 && notice("warn", `${zt.plural(timeline.marks_left_out, "mark is", "marks are")} not drawn, to keep the page fast. All are in the tables' counts.`),
      report.min_age_ns > 0 && notice("", `The timeline has the zombies that waited at least ${zt.duration(report.min_age_ns)} (--min-age). Shorter waits are in the totals and in the distribution only.`),
      bounds > 0 && notice("", `Of ${zt.plural(bounds, "zombie", "zombies")} only an upper or lower bound is known, marked "at most" or "at least": the beginning or the reaping was not seen.`),
    ];
  };

  zt.drawOverview = (run) => {
    const { report } = run;
    const { totals, loss } = report;
    const dropped = report.dropped_signals.shown.reduce((sum, it) => sum + it.count, 0);
    const failed = report.stops.shown.filter((it) => it.outcome === "failed").length;
    zt.fill("subject", `${report.host} · Linux ${report.kernel} · ${zt.when(report.window.start)} to ${zt.when(report.window.end)} UTC`);
    const found = severity(report);
    const verdict = zt.byId("verdict");
    verdict.textContent = found === "" ? "Nothing found" : `Found: ${found}`;
    verdict.className = `verdict ${report.severities.error > 0 ? "bad" : report.severities.warning > 0 ? "warn" : "good"}`;
    const rest = (list) => (list.left_out > 0 ? "+" : "");
    const numbers = [
      ["exits", zt.count(totals.exits)],
      ["zombies", zt.count(totals.zombies)],
      ["reaped", zt.count(totals.reaped)],
      ["still there at the end", zt.count(totals.zombies_now), totals.zombies_now > 0 ? "warn" : ""],
      ["auto-reaped", zt.count(totals.auto_reaped)],
      ["longest wait", zt.duration(report.latency.max_ns)],
      ["signals dropped", zt.count(dropped) + rest(report.dropped_signals), dropped > 0 ? "warn" : ""],
      ["failed stops", zt.count(failed) + rest(report.stops), failed > 0 ? "bad" : ""],
      ["events lost", zt.count(loss.events), loss.events > 0 ? "bad" : ""],
    ];
    zt.fill("numbers", ...numbers.map(([name, value, kind = ""]) => zt.el("div", { class: kind }, zt.el("dt", {}, name), zt.el("dd", {}, value))));
    const command = report.command && notice("", [zt.el("span", { class: "dim" }, "Command: "), zt.el("code", {}, report.command.argv.join(" ")), ` – ${report.command.exit ? (report.command.exit.signal ? `killed by ${report.command.exit.signal}` : `exit ${report.command.exit.code}`) : "still running"}`]);
    zt.fill("notices", ...notices(run), command);
    document.title = `${report.host}: ${found || "no findings"} – zombie-trace`;
  };
})();
