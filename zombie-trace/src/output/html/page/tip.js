// What is under the pointer, in words.
(() => {
  const tip = zt.byId("tip");

  zt.describeZombie = (run, index) => {
    const { zombies, texts, rows } = run;
    const text = (column) => texts[zombies[column][index]];
    const precision = {
      exact: "", "upper-bound": "at most ", "lower-bound": "at least ", "still-there": "", "passed-on": "",
    }[text("precision")];
    const stillThere = text("precision") === "still-there";
    const passedOn = text("precision") === "passed-on";
    const since = run.x(zombies.since[index]);
    return [
      [`${text("name")} (${zombies.pid[index]})`],
      [stillThere ? "waits for" : "waited", `${precision}${zt.duration(zombies.length[index])}${stillThere ? ", still there at the end" : ""}`],
      ["since", zt.timeOfDay(since)],
      ["ended", text("exit") || "not seen"],
      ["parent", rows[zombies.row[index]].label],
      ["cause", run.causeOf(index)],
      ...(passedOn ? [["passed on", `to ${text("reaper") || "another process"}`]] : []),
      ...(text("via") ? [["reaped", text("reaper") ? `${text("via")}, by ${text("reaper")}` : text("via")]] : []),
    ];
  };

  zt.showTip = (over, left, top, lines) => {
    const [[title], ...rest] = lines;
    tip.replaceChildren(zt.el("strong", {}, title), ...rest.map(([name, value]) => zt.el("div", {}, zt.el("span", { class: "dim" }, name), value === undefined ? "" : ` ${value}`)));
    tip.hidden = false;
    const area = over.getBoundingClientRect(), own = tip.getBoundingClientRect();
    const x = Math.min(area.left + left + 14, document.documentElement.clientWidth - own.width - 8);
    const below = area.top + top + 14;
    const y = below + own.height > innerHeight ? area.top + top - own.height - 14 : below;
    tip.style.transform = `translate(${Math.max(4, Math.round(x))}px, ${Math.max(4, Math.round(y))}px)`;
  };

  zt.hideTip = () => {
    tip.hidden = true;
  };
})();
