// Puts the page together.
(() => {
  const { version, reports } = JSON.parse(zt.byId("data").textContent);
  zt.onSelection(zt.drawTimeline);
  zt.onSelection(zt.drawDistribution);
  zt.onSelection(zt.drawZombies);

  const show = (index) => {
    const run = zt.load(reports[index]);
    zt.drawOverview(run);
    zt.drawLists(run);
    zt.startFilters(run);
  };

  const choice = zt.byId("run");
  choice.replaceChildren(...reports.map((report, index) => zt.el("option", { value: index }, `${report.host}, ${zt.when(report.window.start)}`)));
  choice.addEventListener("change", () => show(Number(choice.value)));
  zt.byId("run-choice").hidden = reports.length < 2;
  zt.fill("footer", `Made by zombie-trace ${version}. This page is complete in itself and loads nothing. Charts by uPlot (MIT). \`zombie-trace explain CAUSE\` says how to correct each cause.`);
  show(0);
  document.documentElement.dataset.ready = "true";
})();
