// The timeline: how many zombies there were at a time, and below a row for each parent with its zombies as bars. The
// charts are uPlot's; what is in the rows is drawn on its canvas.
(() => {
  const VIEW_HEIGHT = 430;
  const OVERVIEW_HEIGHT = 104;
  const COLORS = 8;
  const LEAST_SPAN = 2e-6;
  const MARKS = { "signal-dropped": ["▼", "--drop", "signal dropped"], "stop-failed": ["✕", "--bad", "failed stop"], "fork-failed": ["◆", "--fork", "failed fork"] };
  const INCREMENTS = [
    ...[1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1].flatMap((it) => [it, 2 * it, 5 * it]),
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800,
  ];

  const host = zt.byId("timeline");
  const labels = zt.el("div", { class: "row-labels" });
  const canvasHost = zt.el("div", { class: "row-canvas" });
  const space = zt.el("div", { class: "row-space" }, labels, canvasHost);
  const scroller = zt.el("div", {
    class: "row-scroller", tabindex: "0", role: "group", "aria-label": "Zombies by parent; arrow keys move, plus and minus zoom. The table at the end of the page has the same as text.",
  }, space);
  const overviewHost = zt.el("div", { class: "overview-chart" });
  host.append(overviewHost, scroller);

  let run = null, plan = { lines: [], height: 0 }, overview = null, rows = null, view = null, drawn = [];
  let zooming = false;

  const colorOf = (cause) => zt.color(`--cause-${run.causes.indexOf(cause) % COLORS}`);

  const tick = (increment) => (increment >= 86400 ? 0 : Math.max(0, Math.min(6, -Math.floor(Math.log10(increment) + 1e-9))));
  const axisTimes = (_, splits, __, ___, increment) => splits.map((it) => zt.timeOfDay(it, increment >= 1 ? 0 : tick(increment)));

  const dragged = (chart) => {
    if (chart.select.width > 4) {
      show(chart.posToVal(chart.select.left, "x"), chart.posToVal(chart.select.left + chart.select.width, "x"));
    }
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  };

  const options = (more) => ({
    legend: { show: false },
    ...more,
    cursor: {
      y: false,
      points: { show: false },
      sync: { key: "timeline", setSeries: false },
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => show(...run.span) },
      ...more.cursor,
    },
    scales: { x: { time: false, range: () => view }, ...more.scales },
  });

  const axis = () => ({ stroke: zt.color("--dim"), grid: { stroke: zt.color("--grid"), width: 1 }, ticks: { stroke: zt.color("--grid"), width: 1 }, font: "12px system-ui, sans-serif" });

  const overviewOptions = (width) => options({
    width, height: OVERVIEW_HEIGHT, padding: [6, 0, 0, 0],
    scales: { y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] } },
    axes: [
      { ...axis(), side: 2, size: 30, incrs: INCREMENTS, values: axisTimes, space: 90 },
      { show: false },
    ],
    series: [{}, { stroke: zt.color("--accent"), fill: zt.color("--accent-soft"), width: 1.5, points: { show: false }, paths: uPlot.paths.stepped({ align: 1 }) }],
    hooks: { setSelect: [dragged], draw: [drawWindow], setCursor: [hoverOverview] },
  });

  const rowOptions = (width, height) => options({
    width, height, padding: [0, 0, 0, 0],
    scales: { y: { range: [0, 1] } },
    axes: [{ ...axis(), size: 0, incrs: INCREMENTS, values: (_, splits) => splits.map(() => ""), space: 90 }, { show: false }],
    series: [{}, { show: false }],
    hooks: { setSelect: [dragged], draw: [drawRows, drawWindow], setCursor: [hoverRows] },
  });

  /** The number of zombies at a time, where it changes; of many changes only as many as there are pixels. */
  const concurrency = () => {
    const { zombies, selected } = run;
    const columns = 4000;
    const [from, to] = view.map(run.ns);
    if (selected.length * 2 > columns) {
      const counts = zt.profile(zombies, selected, from, to, columns);
      const step = (view[1] - view[0]) / columns;
      return [Float64Array.from(counts, (_, column) => view[0] + column * step), Array.from(counts)];
    }
    const changes = [];
    for (const index of selected) {
      changes.push([zombies.since[index], 1], [zombies.since[index] + zombies.length[index], -1]);
    }
    changes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const xs = [run.span[0]], ys = [0];
    let sum = 0;
    for (const [at, change] of changes) {
      sum += change;
      xs.push(run.x(at));
      ys.push(sum);
    }
    xs.push(run.span[1]);
    ys.push(sum);
    return [xs, ys];
  };

  const show = (from, to) => {
    const [first, last] = run.span;
    const width = Math.min(Math.max(to - from, LEAST_SPAN), last - first);
    const start = Math.min(Math.max(from, first), last - width);
    view = [start, start + width];
    if (zooming) return;
    zooming = true;
    requestAnimationFrame(() => {
      zooming = false;
      overview.setData(concurrency());
      rows.setData([view, [null, null]]);
    });
  };

  const zoom = (how) => {
    const [from, to] = view;
    const width = to - from, middle = (from + to) / 2;
    if (how === "all") show(...run.span);
    if (how === "in") show(middle - width / 4, middle + width / 4);
    if (how === "out") show(middle - width, middle + width);
    if (how === "left") show(from - width / 4, to - width / 4);
    if (how === "right") show(from + width / 4, to + width / 4);
  };

  /** What was lost, and where the window ends. */
  const drawWindow = (chart) => {
    const { ctx, bbox } = chart;
    const { window: [start, end], losses } = run.report.timeline;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.fillStyle = zt.color("--outside");
    const startX = chart.valToPos(run.x(start), "x", true), endX = chart.valToPos(run.x(end), "x", true);
    ctx.fillRect(bbox.left, bbox.top, startX - bbox.left, bbox.height);
    ctx.fillRect(endX, bbox.top, bbox.left + bbox.width - endX, bbox.height);
    ctx.strokeStyle = zt.color("--bad");
    ctx.lineWidth = 1.5 * uPlot.pxRatio;
    ctx.setLineDash([5 * uPlot.pxRatio, 3 * uPlot.pxRatio]);
    for (const [at] of losses) {
      const x = chart.valToPos(run.x(at), "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };

  const drawRows = (chart) => {
    const { ctx, bbox } = chart;
    const ratio = uPlot.pxRatio;
    const above = scroller.scrollTop, height = bbox.height / ratio;
    const [from, to] = view.map(run.ns);
    const scale = bbox.width / (to - from);
    drawn = [];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const colors = new Map(run.causes.map((cause) => [cause, colorOf(cause)]));
    for (const line of plan.lines) {
      if (line.top + line.height < above || line.top > above + height) continue;
      const top = (line.top - above) * ratio;
      if (line.group !== undefined) {
        ctx.fillStyle = zt.color("--group");
        ctx.fillRect(bbox.left, top, bbox.width, line.height * ratio);
        continue;
      }
      ctx.fillStyle = zt.color("--grid");
      ctx.fillRect(bbox.left, top + line.height * ratio - 1, bbox.width, 1);
      const lanes = zt.lanes(run.zombies, line.items, from, to, Math.floor((line.height - 8) / 3));
      if (lanes) drawBars(ctx, line, lanes, { top, from, scale, ratio, left: bbox.left, colors });
      else drawProfile(ctx, line, { top, from, to, ratio, left: bbox.left, width: bbox.width, colors });
      drawMarks(chart, line, top, ratio);
    }
    ctx.restore();
  };

  const drawBars = (ctx, line, lanes, at) => {
    const step = Math.min(11, (line.height - 8) / Math.max(1, lanes.count)) * at.ratio;
    const bar = Math.max(at.ratio, step - Math.min(2 * at.ratio, step / 4));
    for (const [index, lane] of lanes.placed) {
      const x = at.left + (run.zombies.since[index] - at.from) * at.scale;
      const width = Math.max(1.5 * at.ratio, run.zombies.length[index] * at.scale);
      const y = at.top + 4 * at.ratio + lane * step;
      ctx.fillStyle = at.colors.get(run.causeOf(index));
      ctx.fillRect(x, y, width, bar);
      drawn.push([x, y, x + width, y + step, index]);
    }
  };

  const drawProfile = (ctx, line, at) => {
    const columns = Math.max(1, Math.floor(at.width));
    const counts = zt.profile(run.zombies, line.items, at.from, at.to, columns);
    const most = counts.reduce((max, count) => Math.max(max, count), 1);
    const height = (line.height - 8) * at.ratio, bottom = at.top + (line.height - 4) * at.ratio;
    ctx.fillStyle = at.colors.get(run.causeOf(line.items[line.items.length - 1]));
    for (let column = 0; column < columns; column++) {
      if (counts[column] === 0) continue;
      const tall = Math.max(at.ratio, (counts[column] / most) * height);
      ctx.fillRect(at.left + column, bottom - tall, 1, tall);
    }
    const text = `up to ${zt.count(most)} at a time`;
    ctx.font = `${11 * at.ratio}px system-ui, sans-serif`;
    const wide = ctx.measureText(text).width + 10 * at.ratio;
    ctx.fillStyle = zt.color("--panel");
    ctx.fillRect(at.left + 4 * at.ratio, at.top + 4 * at.ratio, wide, 17 * at.ratio);
    ctx.fillStyle = zt.color("--text");
    ctx.textAlign = "start";
    ctx.textBaseline = "alphabetic";
    ctx.fillText(text, at.left + 9 * at.ratio, at.top + 16 * at.ratio);
    drawn.push([at.left, at.top, at.left + at.width, bottom, { counts, left: at.left }]);
  };

  const drawMarks = (chart, line, top, ratio) => {
    const { ctx, bbox } = chart;
    const middle = top + (line.height / 2) * ratio;
    for (const stop of line.row.stops) {
      if (stop.outcome === "clean") continue;
      const x = chart.valToPos(run.x(stop.sent), "x", true), end = chart.valToPos(run.x(stop.end), "x", true);
      ctx.fillStyle = zt.color("--bad");
      ctx.fillRect(x, middle - ratio, end - x, 2 * ratio);
    }
    ctx.font = `${14 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.lineJoin = "round";
    for (const mark of line.row.marks) {
      const x = chart.valToPos(run.x(mark.at), "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      const [sign, color] = MARKS[mark.kind];
      ctx.strokeStyle = zt.color("--panel");
      ctx.lineWidth = 3 * ratio;
      ctx.strokeText(sign, x, middle);
      ctx.fillStyle = zt.color(color);
      ctx.fillText(sign, x, middle);
      drawn.push([x - 7 * ratio, middle - 8 * ratio, x + 7 * ratio, middle + 8 * ratio, mark]);
    }
  };

  const describe = (what, x) => {
    if (typeof what === "number") return zt.describeZombie(run, what);
    if (what.counts) {
      const count = what.counts[Math.max(0, Math.floor(x - what.left))] ?? 0;
      return [[`${zt.plural(count, "zombie", "zombies")} at that time`], ["too many to be drawn one by one"]];
    }
    return [[what.text], ["at", zt.timeOfDay(run.x(what.at))]];
  };

  const hoverRows = (chart) => {
    const { left, top } = chart.cursor;
    if (left < 0 || !chart.over.matches(":hover")) return zt.hideTip();
    const ratio = uPlot.pxRatio, x = left * ratio + chart.bbox.left, y = top * ratio + chart.bbox.top;
    // What was drawn last is on top.
    const hit = drawn.findLast(([x0, y0, x1, y1]) => x >= x0 - ratio && x <= x1 + ratio && y >= y0 && y <= y1);
    return hit ? zt.showTip(chart.over, left, top, describe(hit[4], x)) : zt.hideTip();
  };

  const hoverOverview = (chart) => {
    const { left, top, idx } = chart.cursor;
    if (left < 0 || idx === null || idx === undefined || !chart.over.matches(":hover")) return zt.hideTip();
    const count = chart.data[1][idx] ?? 0;
    return zt.showTip(chart.over, left, top, [[zt.plural(count, "zombie", "zombies")], ["at", zt.timeOfDay(chart.data[0][idx])]]);
  };

  /** Labels of the rows in sight: there may be thousands. */
  const label = () => {
    const above = scroller.scrollTop, height = scroller.clientHeight;
    const inSight = plan.lines.filter((line) => line.top + line.height >= above && line.top <= above + height);
    labels.replaceChildren(...inSight.map((line) => {
      const text = line.group ?? line.row.label;
      const element = line.group !== undefined
        ? zt.el("div", { class: "group-label", title: text }, text)
        : zt.el("button", { type: "button", class: "row-label", title: rowTitle(line), onclick: () => line.row.process && zt.goToParent(line.row.rank) },
          zt.el("span", { class: "row-name" }, text), zt.el("span", { class: "row-count" }, zt.count(line.items.length)));
      element.style.top = `${line.top}px`;
      element.style.height = `${line.height}px`;
      return element;
    }));
  };

  const rowTitle = (line) => [line.row.label, line.row.process?.cmdline, zt.plural(line.items.length, "zombie", "zombies")].filter(Boolean).join("\n");

  const legend = () => {
    const current = zt.currentCause();
    const causes = run.causes.map((cause) => {
      const swatch = zt.el("span", { class: "swatch", "aria-hidden": "true" });
      swatch.style.background = colorOf(cause);
      const button = zt.el("button", { type: "button", class: "legend-item", "aria-pressed": String(current === cause), onclick: () => zt.filterBy("filter-cause", cause) }, swatch, cause);
      return zt.el("li", {}, button);
    });
    const kinds = new Set(run.rows.flatMap((row) => row.marks.map((mark) => mark.kind)));
    const marks = [...kinds].map((kind) => {
      const [sign, color, text] = MARKS[kind];
      const symbol = zt.el("span", { "aria-hidden": "true" }, sign);
      symbol.style.color = `var(${color})`;
      return zt.el("li", { class: "legend-mark" }, symbol, text);
    });
    const lost = run.report.timeline.losses.length > 0 ? [zt.el("li", { class: "legend-mark" }, zt.el("span", { class: "lost-line", "aria-hidden": "true" }), "events lost")] : [];
    zt.fill("legend", ...causes, ...marks, ...lost);
  };

  const draw = () => {
    const height = Math.max(60, Math.min(VIEW_HEIGHT, plan.height));
    space.style.height = `${Math.max(plan.height, height)}px`;
    // With its border.
    scroller.style.height = `${height + 1}px`;
    canvasHost.style.height = `${height}px`;
    // As wide as the rows, which may have a scroll bar beside them.
    overviewHost.style.marginRight = `${scroller.offsetWidth - scroller.clientWidth}px`;
    overview?.destroy();
    rows?.destroy();
    overview = new uPlot(overviewOptions(overviewHost.clientWidth), concurrency(), overviewHost);
    rows = new uPlot(rowOptions(Math.max(120, canvasHost.clientWidth), height), [view, [null, null]], canvasHost);
    label();
    legend();
    host.dataset.rows = String(plan.lines.length);
  };

  zt.drawTimeline = (newRun) => {
    const isNew = newRun !== run;
    run = newRun;
    plan = zt.layout(run);
    if (isNew) view = run.span;
    draw();
  };
  zt.redrawTimeline = () => run && draw();

  scroller.addEventListener("scroll", () => {
    rows.redraw(false);
    label();
  });
  scroller.addEventListener("keydown", (event) => {
    const how = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", Home: "all" }[event.key];
    if (how && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      zoom(how);
    }
  });
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
  let resizing = 0;
  new ResizeObserver(() => {
    cancelAnimationFrame(resizing);
    resizing = requestAnimationFrame(zt.redrawTimeline);
  }).observe(host);
})();
