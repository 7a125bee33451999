// Where the rows of the timeline are, and how the zombies of a row are laid out so that none hides another.
(() => {
  const GROUP_HEIGHT = 26;
  const LANE = 6;
  const LEAST = 26;
  const MOST = 92;

  /** How many of these zombies there were at a time, at most. */
  const peak = (zombies, items) => {
    const ends = Float64Array.from(items, (index) => zombies.since[index] + zombies.length[index]).sort();
    let most = 0, ended = 0;
    for (let begun = 0; begun < items.length; begun++) {
      while (ended < ends.length && ends[ended] <= zombies.since[items[begun]]) ended++;
      most = Math.max(most, begun + 1 - ended);
    }
    return most;
  };

  const itemsByRow = (run) => {
    const counts = new Uint32Array(run.rows.length);
    for (const index of run.selected) counts[run.zombies.row[index]]++;
    const items = run.rows.map((_, row) => new Uint32Array(counts[row]));
    counts.fill(0);
    for (const index of run.selected) {
      const row = run.zombies.row[index];
      items[row][counts[row]++] = index;
    }
    return items;
  };

  /** Groups and rows from top to bottom: `{top, height, group}` or `{top, height, row, items, peak}`. */
  zt.layout = (run) => {
    const items = itemsByRow(run);
    const groups = new Map();
    for (const row of run.rows) {
      const marked = (row.marks.length > 0 || row.stops.length > 0) && run.rowPasses(row);
      if (items[row.index].length === 0 && !marked) continue;
      const group = groups.get(row.container) ?? groups.set(row.container, []).get(row.container);
      group.push({ row, items: items[row.index], peak: peak(run.zombies, items[row.index]) });
    }
    // The worst parents first, as in their table; Infinity minus itself is no number.
    const order = (a, b) => (a.row.rank === b.row.rank
      ? b.items.length - a.items.length || a.row.index - b.row.index : a.row.rank - b.row.rank);
    groups.forEach((rows) => rows.sort(order));
    const sorted = [...groups].sort(([, a], [, b]) => order(a[0], b[0]));
    const lines = [];
    let top = 0;
    for (const [container, rows] of sorted) {
      const label = container === null ? "in no container" : run.containers[container].label;
      lines.push({ top, height: GROUP_HEIGHT, group: label });
      top += GROUP_HEIGHT;
      for (const line of rows) {
        const height = Math.min(MOST, Math.max(LEAST, line.peak * LANE + 10));
        lines.push({ ...line, top, height });
        top += height;
      }
    }
    return { lines, height: top };
  };

  /** Lanes for the zombies of a row that lie between two times; `null` if there are more at a time than lanes. */
  zt.lanes = (zombies, items, from, to, most) => {
    const ends = [];
    const placed = [];
    for (const index of items) {
      const since = zombies.since[index];
      if (since > to) break;
      const end = since + zombies.length[index];
      if (end < from) continue;
      let lane = ends.findIndex((it) => it <= since);
      if (lane < 0) lane = ends.push(0) - 1;
      if (lane >= most || placed.length > 20000) return null;
      ends[lane] = end;
      placed.push([index, lane]);
    }
    return { placed, count: ends.length };
  };

  /** How many there are at a time, for each of so many columns between two times. */
  zt.profile = (zombies, items, from, to, columns) => {
    const changes = new Int32Array(columns + 1);
    const scale = columns / (to - from);
    for (const index of items) {
      const since = zombies.since[index];
      if (since > to) break;
      const end = since + zombies.length[index];
      if (end < from) continue;
      changes[Math.max(0, Math.floor((since - from) * scale))]++;
      changes[Math.min(columns, Math.floor((end - from) * scale) + 1)]--;
    }
    for (let column = 1; column <= columns; column++) changes[column] += changes[column - 1];
    return changes.subarray(0, columns);
  };
})();
