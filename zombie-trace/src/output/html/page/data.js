// From what the page carries to what is drawn: zombies as columns of numbers. `columns.rs` wrote them.
(() => {
  const bytesOf = (base64) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < bytes.length; at++) bytes[at] = text.charCodeAt(at);
    return bytes;
  };

  const COLUMNS = ["row", "pid", "name", "exit", "cause", "precision", "via", "reaper"];

  const decode = (timeline) => {
    const bytes = bytesOf(timeline.columns);
    const { count } = timeline;
    const zombies = { count, since: new Float64Array(count), length: new Float64Array(count) };
    for (const column of COLUMNS) zombies[column] = new Uint32Array(count);
    let at = 0;
    const next = () => {
      let value = 0, factor = 1, byte;
      do {
        byte = bytes[at++];
        value += (byte & 0x7f) * factor;
        factor *= 128;
      } while (byte & 0x80);
      return value;
    };
    let since = 0;
    for (let index = 0; index < count; index++) {
      since += next();
      zombies.since[index] = since;
      zombies.length[index] = next();
      for (const column of COLUMNS) zombies[column][index] = next();
    }
    return zombies;
  };

  const keyOf = (process) => process ? `${process.pid}/${process.start_ns}` : "";

  /** One report, ready to be drawn. */
  zt.load = (report) => {
    const { timeline } = report;
    const zombies = decode(timeline);
    const nsOfDay = BigInt(timeline.origin) % 86400000000000n;
    const rankOf = new Map(report.parents.shown.map((parent, rank) => [keyOf(parent.process), rank]));
    const rows = timeline.rows.map((row, index) => ({
      index,
      container: row.container,
      process: row.process,
      label: row.process ? zt.processName(row.process) : "parent not known",
      rank: rankOf.get(keyOf(row.process)) ?? Infinity,
      marks: [],
      stops: [],
    }));
    const run = {
      report,
      zombies,
      rows,
      texts: timeline.texts,
      containers: timeline.containers,
      /** Ns since the origin as seconds since midnight, the unit of the axes. */
      x: (ns) => Number(nsOfDay) / 1e9 + ns / 1e9,
      ns: (x) => (x - Number(nsOfDay) / 1e9) * 1e9,
    };
    timeline.marks.forEach((mark) => rows[mark.row].marks.push(mark));
    const rowOf = new Map(rows.map((row) => [keyOf(row.process), row]));
    for (const stop of report.stops.shown) {
      const sent = Number(nsSinceEpoch(stop.sent) - BigInt(timeline.origin));
      rowOf.get(keyOf(stop.target))?.stops.push({ sent, end: sent + stop.took_ns, outcome: stop.outcome, signal: stop.signal });
    }
    run.causeOf = causes(run);
    const longest = zombies.since.reduce((end, since, index) => Math.max(end, since + zombies.length[index]), 0);
    run.span = [run.x(Math.min(0, timeline.window[0])), run.x(Math.max(timeline.window[1], longest, 1e6))];
    return run;
  };

  const nsSinceEpoch = (text) => {
    const [, seconds, part] = /^(.*?)(?:\.(\d+))?Z$/.exec(text) ?? [];
    return BigInt(Date.parse(`${seconds}Z`)) * 1000000n + BigInt((part ?? "").padEnd(9, "0"));
  };

  /** The cause of a zombie: its own, or else its parent's. */
  const causes = (run) => {
    const { cause, row } = run.zombies;
    const ofRow = run.rows.map(({ rank }) => run.report.parents.shown[rank]?.cause ?? "");
    return (index) => run.texts[cause[index]] || ofRow[row[index]] || "unknown";
  };
})();
