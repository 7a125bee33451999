// How numbers, times and processes are written, and elements made. Text that a traced process chose gets into the page
// here and nowhere else, and always as text.
(() => {
  const number = new Intl.NumberFormat("en");
  const UNITS = [[1e9, "s"], [1e6, "ms"], [1e3, "µs"], [1, "ns"]];

  zt.count = (value) => number.format(value);
  zt.plural = (value, one, many) => `${zt.count(value)} ${value === 1 ? one : many}`;

  /** A duration in ns, as the text report writes it. */
  zt.duration = (ns) => {
    if (ns === null || ns === undefined) return "–";
    const seconds = Math.floor(ns / 1e9);
    if (seconds >= 86400) return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
    if (seconds >= 3600) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
    if (seconds >= 60) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    for (const [unit, name] of UNITS) {
      if (ns >= unit) {
        const whole = Math.floor(ns / unit);
        return whole < 10 && unit > 1 ? `${whole}.${Math.floor(((ns % unit) * 10) / unit)} ${name}` : `${whole} ${name}`;
      }
    }
    return "0 ns";
  };

  /** What a person writes, such as `500ms` or `1m30s`, in ns; `null` if it is none of that. */
  zt.parseDuration = (text) => {
    const compact = text.replace(/\s+/g, "").replace("µ", "u");
    if (compact === "" || compact === "0") return 0;
    const unit = { h: 3600e9, m: 60e9, min: 60e9, s: 1e9, ms: 1e6, us: 1e3, ns: 1 };
    if (!/^(\d+(\.\d+)?(h|min|ms|us|ns|m|s))+$/.test(compact)) return null;
    let sum = 0;
    for (const [, value, name] of compact.matchAll(/(\d+(?:\.\d+)?)(h|min|ms|us|ns|m|s)/g)) sum += value * unit[name];
    return sum;
  };

  /** Seconds since the midnight before the origin, as a time of day. */
  zt.timeOfDay = (seconds, digits = 3) => {
    const scale = 10 ** digits;
    const ticks = Math.round(seconds * scale);
    const whole = Math.floor(ticks / scale);
    const two = (value) => String(value).padStart(2, "0");
    const day = Math.floor(whole / 86400);
    const time = `${two(Math.floor((whole % 86400) / 3600))}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
    const part = digits > 0 ? `.${String(ticks - whole * scale).padStart(digits, "0")}` : "";
    return `${day > 0 ? `+${day}d ` : ""}${time}${part}`;
  };

  /** An RFC 3339 time, to the millisecond. */
  zt.when = (text) => text.replace("T", " ").replace(/(\.\d{3})\d*Z$/, "$1");

  zt.processName = (process) => process ? `${process.comm} (${process.pid})` : "not known";

  /** An element with attributes and children; strings become text. */
  zt.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name === "onclick") element.addEventListener("click", value);
      else element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  };

  zt.byId = (id) => document.getElementById(id);
  zt.fill = (id, ...children) => zt.byId(id).replaceChildren(...children.flat().filter(Boolean));
  /** A colour of the style sheet, for the canvas. */
  zt.color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
})();
