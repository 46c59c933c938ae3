// What charts over time share: they zoom together, and hovering over them tells of a moment.
const TIME_MARGIN = { left: 50, right: 14, top: 26, bottom: 26 };
function timeChart(id, height, label, curves, unit) {
  const chart = frame(id, height, TIME_MARGIN, label);
  const x = xOf(chart);
  const top = mostInView(...curves) * 1.06 || 1;
  const y = scale(0, top, chart.box.bottom, chart.box.top);
  timeAxis(chart, x);
  yAxis(chart, y, niceTicks(0, top, 5), unit);
  missingStrips(chart, x);
  listen(chart);
  return { chart, x, y };
}
// Late work, a lane each of { text, worth, look }: every late bin has a mark. The scale holds all of `curves`.
function lateLanes(id, label, lanes, curves) {
  const lane = 74, gap = 30;
  const chart = frame(id, 26 + lanes.length * (lane + gap), { left: 50, right: 14, top: 26, bottom: 26 }, label);
  const x = xOf(chart);
  const top = mostInView(...curves) * 1.06 || 1;
  timeAxis(chart, x);
  lanes.forEach((row, k) => {
    const bottom = 26 + lane + k * (lane + gap);
    const y = scale(0, top, bottom, bottom - lane);
    yAxis({ ...chart, box: { ...chart.box, top: bottom - lane } }, y, niceTicks(0, top, 3), "");
    el(chart.svg, "text", { class: "lane", x: chart.box.left, y: bottom - lane - 9 }, row.text);
    for (const c of columns(row.worth, row.worth, x, chart.box.right - chart.box.left)) {
      if (!(c.most > 0)) continue;
      const height = Math.max(2.5, bottom - y(c.most)); // never thinner than can be seen
      el(chart.plot, "rect", { class: `fill ${row.look}`, x: px(c.x0), width: px(Math.max(1.5, c.x1 - c.x0)), y: px(bottom - height), height: px(height) });
    }
    el(chart.svg, "line", { class: "axis", x1: chart.box.left, x2: chart.box.right, y1: bottom, y2: bottom });
  });
  listen(chart);
}
const lateText = (row) => `${row.late_text} late, in ${row.late_bins.toLocaleString("en-US")} bins`;

// ---- zoom and hover ---------------------------------------------------------------------------------------------
const tip = document.getElementById("tip");
function showTip(event, lines) {
  tip.replaceChildren(...lines.map(([text, cls]) => Object.assign(document.createElement("div"), { textContent: text, className: cls || "" })));
  tip.hidden = false;
  const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - tip.offsetWidth - 16 : event.clientX + 16;
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.min(event.clientY + 12, innerHeight - tip.offsetHeight - 4)}px`;
}
const hideTip = () => { tip.hidden = true; };
function headLines(i, unit) {
  const same = demandHigh[i] === demandLow[i];
  return [
    [moment(i) + (data.group > 1 ? ` (${data.group} bins)` : ""), "head"],
    [`demand ${num(demandLow[i])}${same ? "" : "–" + num(demandHigh[i])} ${unit}${missing[i] ? " (missing, filled)" : ""}`, "demand"],
  ];
}
function listen(chart) {
  const { svg, box } = chart;
  const rule = el(svg, "line", { class: "rule", y1: box.top, y2: box.bottom, visibility: "hidden" });
  const brush = el(svg, "rect", { class: "brush", y: box.top, height: box.bottom - box.top, visibility: "hidden" });
  const pointAt = (event) => {
    const bounds = svg.getBoundingClientRect();
    const at = ((event.clientX - bounds.left) * svg.viewBox.baseVal.width) / bounds.width;
    const share = (Math.min(box.right, Math.max(box.left, at)) - box.left) / (box.right - box.left);
    return view.from + share * (view.to - view.from);
  };
  let start = null;
  svg.addEventListener("pointerdown", (event) => { start = pointAt(event); svg.setPointerCapture(event.pointerId); });
  svg.addEventListener("pointermove", (event) => {
    const at = pointAt(event), i = Math.min(n - 1, Math.floor(at));
    for (const other of charts) {
      other.rule.setAttribute("x1", xOf(other)(at));
      other.rule.setAttribute("x2", xOf(other)(at));
      other.rule.setAttribute("visibility", "visible");
    }
    showTip(event, linesAt(i, chart.id));
    if (start === null) return;
    const [a, b] = [start, at].sort((p, q) => p - q);
    brush.setAttribute("x", xOf(chart)(a));
    brush.setAttribute("width", xOf(chart)(b) - xOf(chart)(a));
    brush.setAttribute("visibility", "visible");
  });
  svg.addEventListener("pointerup", (event) => {
    const [a, b] = [start, pointAt(event)].sort((p, q) => p - q);
    const wide = start !== null && ((b - a) / (view.to - view.from)) * (box.right - box.left) > 5;
    start = null;
    if (wide) look(a, b);
  });
  svg.addEventListener("pointerleave", () => { hideTip(); for (const other of charts) other.rule.setAttribute("visibility", "hidden"); });
  svg.addEventListener("dblclick", () => look(0, n));
  charts.push({ box, rule });
}
function look(from, to) {
  const span = Math.min(n, Math.max(Math.min(n, 8), Math.ceil(to) - Math.floor(from)));
  view.from = Math.max(0, Math.min(n - span, Math.floor(from)));
  view.to = view.from + span;
  drawTime();
}
function worstHour(row) {
  let sum = 0, most = 0, at = null;
  for (let i = 0; i < n; i++) {
    sum += row.worth[i] - (i >= hourPoints ? row.worth[i - hourPoints] : 0);
    if (sum > most + 1e-9) { most = sum; at = i - hourPoints / 2; }
  }
  return at;
}
