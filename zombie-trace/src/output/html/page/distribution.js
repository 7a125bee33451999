// How long zombies waited: a histogram, and the same as a table.
(() => {
  let run = null, chart = null;
  const host = zt.byId("distribution");

  /** Upper bounds of ranges, each twice the one before, over everything that is to be shown. */
  const ranges = (report, zombies) => {
    const bounds = report.spread.map(([bound]) => bound);
    let least = bounds[0] ?? Infinity, most = bounds[bounds.length - 1] ?? 0;
    for (let index = 0; index < zombies.count; index++) {
      least = Math.min(least, zombies.length[index]);
      most = Math.max(most, zombies.length[index]);
    }
    const all = [];
    for (let bound = 1; bound <= 2 ** 62; bound *= 2) {
      if (bound > least && bound / 2 <= most) all.push(bound);
    }
    return all;
  };

  const selectedCounts = (bounds) => {
    const counts = new Array(bounds.length).fill(0);
    for (const index of run.selected) {
      const range = bounds.findIndex((bound) => run.zombies.length[index] < bound);
      counts[range < 0 ? bounds.length - 1 : range]++;
    }
    return counts;
  };

  const tableOf = (bounds, all, selected) => zt.el("details", {},
    zt.el("summary", {}, "The same as a table"),
    zt.table({
      caption: "How many zombies waited how long",
      columns: [
        { title: "Waited less than", number: true, cell: ({ bound }) => zt.duration(bound) },
        { title: "All, exactly known", number: true, cell: ({ all: count }) => zt.count(count) },
        { title: "Selected", number: true, cell: ({ selected: count }) => zt.count(count) },
      ],
      entries: bounds.map((bound, at) => ({ bound, all: all[at], selected: selected[at] })),
    }));

  const logarithm = (counts) => counts.map((count) => (count > 0 ? Math.log10(count) + 0.3 : null));

  const options = (width, bounds) => ({
    width,
    height: 220,
    legend: { show: false },
    padding: [10, 8, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { time: false, range: () => [-0.6, bounds.length - 0.4] },
      y: { range: (_, __, max) => [0, Math.max(1.4, max * 1.05)] },
    },
    axes: [
      {
        stroke: zt.color("--dim"), grid: { show: false }, ticks: { stroke: zt.color("--grid") }, font: "12px system-ui, sans-serif",
        splits: () => bounds.map((_, at) => at).filter((at) => at % Math.max(1, Math.ceil((bounds.length * 78) / width)) === 0),
        values: (_, splits) => splits.map((at) => `< ${zt.duration(bounds[at])}`),
      },
      {
        stroke: zt.color("--dim"), grid: { stroke: zt.color("--grid"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif", size: 64,
        splits: () => [0, 1, 2, 3, 4, 5, 6, 7].map((power) => power + 0.3),
        values: (_, splits) => splits.map((it) => zt.count(10 ** Math.round(it - 0.3))),
      },
    ],
    series: [
      {},
      { stroke: zt.color("--muted-bar"), fill: zt.color("--muted-bar"), points: { show: false }, paths: uPlot.paths.bars({ size: [0.86, 70] }) },
      { stroke: zt.color("--accent"), fill: zt.color("--accent"), points: { show: false }, paths: uPlot.paths.bars({ size: [0.5, 42] }) },
    ],
    hooks: { setCursor: [(it) => hover(it, bounds)] },
  });

  let counts = { all: [], selected: [] };
  const hover = (it, bounds) => {
    const { left, top, idx } = it.cursor;
    if (left < 0 || idx === null || idx === undefined || !it.over.matches(":hover")) return zt.hideTip();
    return zt.showTip(it.over, left, top, [
      [`less than ${zt.duration(bounds[idx])}`],
      ["all, exactly known", zt.count(counts.all[idx])],
      ["selected", zt.count(counts.selected[idx])],
    ]);
  };

  zt.drawDistribution = (newRun) => {
    run = newRun;
    const { latency } = run.report;
    chart?.destroy();
    const bounds = ranges(run.report, run.zombies);
    const quantiles = [["median", latency.p50_ns], ["p90", latency.p90_ns], ["p99", latency.p99_ns], ["max", latency.max_ns]];
    const numbers = zt.el("dl", { class: "numbers small-numbers" }, ...quantiles.map(([name, ns]) => zt.el("div", {}, zt.el("dt", {}, name), zt.el("dd", {}, zt.duration(ns)))));
    if (bounds.length === 0) {
      host.replaceChildren(zt.el("p", { class: "empty" }, "No zombie was reaped, and none is there."));
      return;
    }
    const known = new Map(run.report.spread.map(([bound, count]) => [bound + 1, count]));
    counts = { all: bounds.map((bound) => known.get(bound) ?? 0), selected: selectedCounts(bounds) };
    const place = zt.el("div", { class: "chart" });
    host.replaceChildren(
      numbers,
      zt.el("p", { class: "dim small" },
        zt.el("span", { class: "swatch muted", "aria-hidden": "true" }), "reaped zombies of any age whose begin and end are known exactly, as are the figures above; ",
        zt.el("span", { class: "swatch accent", "aria-hidden": "true" }), "those selected in the timeline. The scale of the counts is logarithmic."),
      place,
      tableOf(bounds, counts.all, counts.selected));
    chart = new uPlot(options(place.clientWidth, bounds), [bounds.map((_, at) => at), logarithm(counts.all), logarithm(counts.selected)], place);
  };
  zt.redrawDistribution = () => run && zt.drawDistribution(run);
})();
