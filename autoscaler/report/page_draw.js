// What all charts share: the data, texts of numbers and times, SVG elements, axes.
addEventListener("error", (event) => { document.documentElement.dataset.error = event.message; });
const data = JSON.parse(document.getElementById("data").textContent);
const n = data.points;
const hourPoints = Math.max(1, Math.round(3600 / data.point_s));
const view = { from: 0, to: n };
let charts = [];

// ---- data -------------------------------------------------------------------------------------------------------
function unstep(pairs) {
  const out = new Float64Array(n);
  for (let k = 0, at = 0; k < pairs.length; k += 2) {
    at += pairs[k];
    out.fill(pairs[k + 1], at, k + 2 < pairs.length ? at + pairs[k + 2] : n);
  }
  return out;
}
function unsparse(pairs) {
  const out = new Float64Array(n);
  for (let k = 0, at = 0; k < pairs.length; k += 2) out[(at += pairs[k])] = pairs[k + 1];
  return out;
}
const demandLow = data.demand.low;
const demandHigh = data.demand.high || data.demand.low;
const zero = new Float64Array(n);
const missing = unstep(data.missing);

// ---- texts ------------------------------------------------------------------------------------------------------
const trim = (value, digits) => String(Number(value.toFixed(digits)));
const num = (value) => (value >= 1000 ? Math.round(value).toLocaleString("en-US") : trim(value, value < 10 ? 2 : 1));
const percent = (value) => (value === null ? "-" : value > 0 && value < 1e-5 ? "<0.001 %" : trim(100 * value, value < 0.1 ? 3 : 1) + " %");
const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const two = (value) => String(value).padStart(2, "0");
function day(seconds) {
  if (!data.dated) return "day " + (Math.floor(seconds / 86400) + 1);
  const date = new Date(seconds * 1000);
  return `${DAYS[date.getUTCDay()]} ${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
}
function clock(seconds, withSeconds) {
  const inDay = Math.round(((seconds % 86400) + 86400) % 86400);
  const text = `${two(Math.floor(inDay / 3600))}:${two(Math.floor(inDay / 60) % 60)}`;
  return withSeconds ? `${text}:${two(inDay % 60)}` : text;
}
const timeOf = (point) => data.start_s + point * data.point_s;
const moment = (point) => `${day(timeOf(point))} ${clock(timeOf(point), data.point_s < 60)}`;

// ---- drawing ----------------------------------------------------------------------------------------------------
function el(parent, tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes || {})) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent.appendChild(node);
  return node;
}
function frame(id, height, margin, label) {
  const host = document.getElementById(id);
  host.replaceChildren();
  const width = Math.max(280, host.clientWidth);
  const svg = el(host, "svg", { viewBox: `0 0 ${width} ${height}`, width: "100%", height, role: "img", "aria-label": label });
  const box = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  const clip = el(el(svg, "defs"), "clipPath", { id: `${id}-clip` });
  el(clip, "rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top });
  const under = el(svg, "g");
  return { id, host, svg, box, under, plot: el(svg, "g", { "clip-path": `url(#${id}-clip)` }) };
}
function niceTicks(low, high, about) {
  const raw = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9; k++) ticks.push(k * step);
  return ticks;
}
function logTicks(low, high) {
  const ticks = [];
  const factors = high / low > 30 ? [1] : high / low > 6 ? [1, 2, 5] : [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++)
    for (const factor of factors) if (factor * 10 ** power >= low && factor * 10 ** power <= high) ticks.push(factor * 10 ** power);
  return ticks;
}
function yAxis(chart, y, ticks, unit) {
  for (const tick of ticks) {
    el(chart.under, "line", { class: "grid", x1: chart.box.left, x2: chart.box.right, y1: y(tick), y2: y(tick) });
    el(chart.svg, "text", { class: "tick", x: chart.box.left - 8, y: y(tick) + 4, "text-anchor": "end" }, num(tick));
  }
  if (unit) el(chart.svg, "text", { class: "unit", x: 2, y: chart.box.top - 9 }, unit);
}
const STEPS_S = [10, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000];
function timeAxis(chart, x) {
  const span = timeOf(view.to) - timeOf(view.from);
  const step = STEPS_S.find((s) => ((chart.box.right - chart.box.left) * s) / span >= 104) || span;
  const monday = step >= 604800 && data.dated ? 345600 : 0; // 1970-01-01 was a Thursday
  for (let t = Math.ceil((timeOf(view.from) - monday) / step) * step + monday; t <= timeOf(view.to); t += step) {
    const at = x((t - data.start_s) / data.point_s);
    const midnight = t % 86400 === 0;
    el(chart.under, "line", { class: midnight ? "grid day" : "grid", x1: at, x2: at, y1: chart.box.top, y2: chart.box.bottom });
    if (at > chart.box.right - 20) continue;
    el(chart.svg, "text", { class: midnight ? "tick day" : "tick", x: at, y: chart.box.bottom + 17, "text-anchor": at < chart.box.left + 26 ? "start" : "middle" },
      midnight ? day(t) : clock(t, step < 60));
  }
}
const xOf = (chart) => (point) => chart.box.left + ((point - view.from) / (view.to - view.from)) * (chart.box.right - chart.box.left);
const scale = (low, high, bottom, top) => (value) => bottom - ((value - low) / (high - low)) * (bottom - top);

// At most one column per pixel, each with the smallest and the largest value under it: nothing between is lost.
function columns(low, high, x, width) {
  const out = [];
  const per = Math.max(1, (view.to - view.from) / width);
  for (let start = view.from; start < view.to; start += per) {
    const stop = Math.min(view.to, start + per);
    let least = Infinity, most = -Infinity;
    for (let i = Math.floor(start); i < Math.max(Math.floor(stop), Math.floor(start) + 1) && i < n; i++) {
      if (low[i] !== null && low[i] < least) least = low[i];
      if (high[i] !== null && high[i] > most) most = high[i];
    }
    out.push({ x0: x(start), x1: x(stop), least, most, known: most > -Infinity });
  }
  return out;
}
const px = (value) => value.toFixed(1);
function line(chart, low, high, x, y, cls) {
  let path = "", pen = "M";
  for (const c of columns(low, high, x, chart.box.right - chart.box.left)) {
    if (!c.known) { pen = "M"; continue; }
    const mid = (c.x0 + c.x1) / 2;
    path += c.least === c.most ? `${pen}${px(c.x0)} ${px(y(c.least))}H${px(c.x1)}` : `${pen}${px(mid)} ${px(y(c.least))}V${px(y(c.most))}`;
    pen = "L";
  }
  el(chart.plot, "path", { class: `line ${cls}`, d: path });
}
function area(chart, low, high, x, y, cls) {
  let path = "", run = [];
  const close = () => {
    if (!run.length) return;
    path += "M" + run.map((c) => `${px(c.x0)} ${px(y(c.most))}L${px(c.x1)} ${px(y(c.most))}`).join("L");
    path += "L" + run.reverse().map((c) => `${px(c.x1)} ${px(y(c.least))}L${px(c.x0)} ${px(y(c.least))}`).join("L") + "Z";
    run = [];
  };
  for (const c of columns(low, high, x, chart.box.right - chart.box.left)) c.known ? run.push(c) : close();
  close();
  el(chart.plot, "path", { class: `area ${cls}`, d: path });
}
function mostInView(...curves) {
  let most = 0;
  for (const curve of curves) for (let i = Math.floor(view.from); i < view.to && i < n; i++) if (curve[i] > most) most = curve[i];
  return most;
}
function missingStrips(chart, x) {
  for (let i = Math.floor(view.from); i < view.to && i < n; i++) {
    if (!missing[i] || (i > view.from && missing[i - 1])) continue;
    let stop = i;
    while (stop < view.to && missing[stop]) stop++;
    el(chart.plot, "rect", { class: "missing", x: x(i), width: Math.max(1, x(stop) - x(i)), y: chart.box.top, height: chart.box.bottom - chart.box.top });
  }
}
