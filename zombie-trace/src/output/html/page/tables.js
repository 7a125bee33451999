// Tables that show their beginning and go on when asked.
(() => {
  const PAGE = 50;

  /** `columns`: `{title, cell, number?}`; a cell is text or an element. `detail` may give a row below an entry. */
  zt.table = ({ caption, columns, entries, leftOut = 0, detail = null, open = () => false }) => {
    const body = zt.el("tbody");
    const more = zt.el("button", { type: "button", class: "quiet more" });
    let shown = 0;
    const row = (entry, index) => {
      const cells = columns.map(({ cell, number }) => zt.el("td", { class: number ? "number" : null }, cell(entry, index)));
      const line = zt.el("tr", { id: entry.anchor ?? null, tabindex: entry.anchor ? "-1" : null }, ...cells);
      if (!detail) return [line];
      const below = zt.el("tr", { class: "detail" }, zt.el("td", { colspan: columns.length + 1 }, detail(entry)));
      const toggle = zt.el("button", { type: "button", class: "disclosure", "aria-label": "evidence and advice" });
      const set = (isOpen) => {
        toggle.setAttribute("aria-expanded", String(isOpen));
        below.hidden = !isOpen;
      };
      toggle.addEventListener("click", () => set(below.hidden));
      set(open(entry, index));
      line.prepend(zt.el("td", { class: "narrow" }, toggle));
      line.expand = () => set(true);
      return [line, below];
    };
    const showMore = () => {
      const next = entries.slice(shown, shown + PAGE);
      body.append(...next.flatMap((entry, index) => row(entry, shown + index)));
      shown += next.length;
      const rest = entries.length - shown;
      more.hidden = rest === 0;
      more.textContent = `Show ${zt.count(Math.min(PAGE, rest))} more of ${zt.count(rest)}`;
    };
    more.addEventListener("click", showMore);
    showMore();
    const heads = columns.map(({ title, number }) => zt.el("th", { scope: "col", class: number ? "number" : null }, title));
    const lead = detail ? [zt.el("th", { scope: "col", class: "narrow" }, zt.el("span", { class: "visually-hidden" }, "Details"))] : [];
    const table = zt.el("table", {}, zt.el("caption", { class: "visually-hidden" }, caption), zt.el("thead", {}, zt.el("tr", {}, ...lead, ...heads)), body);
    const note = leftOut > 0 ? zt.el("p", { class: "notice" }, `${zt.count(leftOut)} more are not on this page; --format json has them all.`) : null;
    const element = zt.el("div", { class: "table" }, zt.el("div", { class: "table-scroller" }, table), more, note);
    /** Shows so many entries at least. */
    element.reach = (count) => {
      while (shown < Math.min(count, entries.length)) showMore();
    };
    return element;
  };

  zt.list = (id, empty, options) => {
    const table = options.entries.length > 0 ? zt.table(options) : zt.el("p", { class: "empty" }, empty);
    zt.fill(id, table);
    return table;
  };
})();
