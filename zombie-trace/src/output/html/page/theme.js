// Light or dark: as the system says, until somebody says otherwise.
(() => {
  const NEXT = { auto: "dark", dark: "light", light: "auto" };
  const button = zt.byId("theme");
  const root = document.documentElement;

  const remembered = () => {
    // A page from a file may have no storage.
    try {
      return localStorage.getItem("zombie-trace-theme");
    } catch {
      return null;
    }
  };

  const apply = (theme) => {
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    button.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    zt.redrawTimeline();
    zt.redrawDistribution();
  };

  button.addEventListener("click", () => {
    const theme = NEXT[button.dataset.theme];
    apply(theme);
    try {
      localStorage.setItem("zombie-trace-theme", theme);
    } catch {
      // It is not remembered then.
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(button.dataset.theme));
  const theme = remembered();
  apply(theme in NEXT ? theme : "auto");
})();
