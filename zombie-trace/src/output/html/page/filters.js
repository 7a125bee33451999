// What is selected: by text, container, cause and age.
(() => {
  const listeners = [];
  let run = null;

  const value = (id) => zt.byId(id).value;

  const option = (text, optionValue) => {
    const element = zt.el("option", { value: optionValue }, text);
    return element;
  };

  const minAge = () => {
    const age = zt.parseDuration(value("filter-age"));
    const input = zt.byId("filter-age");
    input.setAttribute("aria-invalid", age === null ? "true" : "false");
    zt.byId("filter-age-error").textContent = age === null ? "Write it like 500ms, 2s or 1m30s." : "";
    return age ?? 0;
  };

  /** Says for each row whether the text is in what is known of its process and container. */
  const rowsWith = (text) => run.rows.map((row) => {
    const { process } = row;
    const container = row.container === null ? {} : run.containers[row.container];
    const known = [row.label, process?.cmdline, process?.exe, container.label, container.id, container.pod, container.namespace];
    return known.some((it) => it?.toLowerCase().includes(text));
  });

  const select = () => {
    const { zombies, texts, rows } = run;
    const text = value("filter-text").trim().toLowerCase();
    const container = value("filter-container");
    const cause = value("filter-cause");
    const age = minAge();
    const inContainer = rows.map((row) => container === "" || String(row.container ?? "none") === container);
    const byRow = text === "" ? null : rowsWith(text);
    const byText = texts.map((it) => it.toLowerCase().includes(text));
    const selected = new Uint32Array(zombies.count);
    let count = 0;
    for (let index = 0; index < zombies.count; index++) {
      const row = zombies.row[index];
      if (zombies.length[index] < age || !inContainer[row]) continue;
      if (cause !== "" && run.causeOf(index) !== cause) continue;
      if (byRow && !byRow[row] && !byText[zombies.name[index]] && !byText[zombies.exit[index]]
        && String(zombies.pid[index]) !== text) continue;
      selected[count++] = index;
    }
    const rowPasses = (row) => inContainer[row.index] && (!byRow || byRow[row.index]) && cause === "" && age === 0;
    run.selected = selected.subarray(0, count);
    run.rowPasses = rowPasses;
    const all = zombies.count;
    zt.byId("selected").textContent = count === all
      ? `${zt.plural(all, "zombie", "zombies")}` : `${zt.count(count)} of ${zt.plural(all, "zombie", "zombies")}`;
    listeners.forEach((listener) => listener(run));
  };

  /** Calls back whenever something else is selected. */
  zt.onSelection = (listener) => listeners.push(listener);

  zt.filterBy = (id, wanted) => {
    const input = zt.byId(id);
    input.value = input.value === wanted ? "" : wanted;
    select();
  };

  zt.currentCause = () => value("filter-cause");

  /** Offers what there is in this report, with nothing left out yet. */
  zt.startFilters = (newRun) => {
    run = newRun;
    const used = new Set(run.rows.map((row) => row.container));
    const containers = run.containers.map((it, index) => option(it.label, String(index)));
    const none = used.has(null) && containers.length > 0 ? [option("in no container", "none")] : [];
    zt.fill("filter-container", option("all", ""), ...containers, ...none);
    const counts = new Map();
    for (let index = 0; index < run.zombies.count; index++) {
      const cause = run.causeOf(index);
      counts.set(cause, (counts.get(cause) ?? 0) + 1);
    }
    run.causes = [...counts].sort((a, b) => b[1] - a[1]).map(([cause]) => cause);
    zt.fill("filter-cause", option("all", ""), ...run.causes.map((it) => option(`${it} (${zt.count(counts.get(it))})`, it)));
    zt.byId("filter-text").value = "";
    zt.byId("filter-age").value = "";
    select();
  };

  const form = zt.byId("filters");
  let pending = 0;
  form.addEventListener("input", () => {
    clearTimeout(pending);
    pending = setTimeout(select, 120);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  // A reset takes effect after its event.
  form.addEventListener("reset", () => setTimeout(select));
})();
