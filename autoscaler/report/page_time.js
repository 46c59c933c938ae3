// The charts over time, which zoom together, and what hovering over them tells.
const TIME_MARGIN = { left: 50, right: 14, top: 26, bottom: 26 };
function timeChart(id, height, label, curves) {
  const chart = frame(id, height, TIME_MARGIN, label);
  const x = xOf(chart);
  const top = mostInView(...curves) * 1.06 || 1;
  const y = scale(0, top, chart.box.bottom, chart.box.top);
  timeAxis(chart, x);
  yAxis(chart, y, niceTicks(0, top, 5), "replicas");
  missingStrips(chart, x);
  listen(chart);
  return { chart, x, y };
}
function demandChart() {
  const band = data.forecast;
  const { chart, x, y } = timeChart("demand", 270, "Demand and forecast over time", band ? [demandHigh, band.high] : [demandHigh]);
  if (band) {
    area(chart, band.low, band.high, x, y, "band");
    line(chart, band.median, band.median, x, y, "median");
  }
  line(chart, demandLow, demandHigh, x, y, "demand");
}
const zero = new Float64Array(n);
function supplyChart() {
  const curves = [demandHigh, main.ordered];
  if (rival) curves.push(rival.high);
  const { chart, x, y } = timeChart("supply", 300, "Ready and loading replicas over time", curves);
  area(chart, zero, main.ordered, x, y, `loading look-${main.look}`);
  area(chart, zero, main.high, x, y, `ready look-${main.look}`);
  line(chart, main.low, main.high, x, y, `look-${main.look}`);
  if (rival) line(chart, rival.low, rival.high, x, y, `rival ${rivalLook()}`);
  line(chart, demandLow, demandHigh, x, y, "demand");
}
function lateChart() {
  const shown = rival ? [main, rival] : [main];
  const lane = 74, gap = 30;
  const chart = frame("late", 26 + shown.length * (lane + gap), { left: 50, right: 14, top: 26, bottom: 26 }, "Late work over time");
  const x = xOf(chart);
  const top = mostInView(...shown.map((row) => row.worth)) * 1.06 || 1;
  timeAxis(chart, x);
  shown.forEach((row, k) => {
    const bottom = 26 + lane + k * (lane + gap);
    const y = scale(0, top, bottom, bottom - lane);
    yAxis({ ...chart, box: { ...chart.box, top: bottom - lane } }, y, niceTicks(0, top, 3), "");
    el(chart.svg, "text", { class: "lane", x: chart.box.left, y: bottom - lane - 9 },
      `${row.title}: ${row.late_text} late, in ${row.late_bins.toLocaleString("en-US")} bins`);
    for (const c of columns(row.worth, row.worth, x, chart.box.right - chart.box.left)) {
      if (!(c.most > 0)) continue;
      const height = Math.max(2.5, bottom - y(c.most)); // never thinner than can be seen
      el(chart.plot, "rect", { class: `fill ${row === rival ? rivalLook() : `look-${row.look}`}`, x: px(c.x0), width: px(Math.max(1.5, c.x1 - c.x0)), y: px(bottom - height), height: px(height) });
    }
    el(chart.svg, "line", { class: "axis", x1: chart.box.left, x2: chart.box.right, y1: bottom, y2: bottom });
  });
  listen(chart);
}

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
function reasonsAt(i) {
  if (!reasonAt) return [];
  const lines = data.reasons.texts[reasonAt[i]].map((text) => [text, "why"]);
  return data.group > 1 ? [["Where the replicas wanted changed most:", "why"], ...lines] : lines;
}
function linesAt(i, explain) {
  const lines = [[moment(i) + (data.group > 1 ? ` (${data.group} bins)` : ""), "head"]];
  const same = demandHigh[i] === demandLow[i];
  lines.push([`demand ${num(demandLow[i])}${same ? "" : "–" + num(demandHigh[i])} replicas${missing[i] ? " (missing, filled)" : ""}`, "demand"]);
  if (data.forecast && data.forecast.median[i] !== null)
    lines.push([`forecast ${num(data.forecast.median[i])} (${num(data.forecast.low[i])} to ${num(data.forecast.high[i])})`]);
  for (const row of rival ? [main, rival] : [main]) {
    const share = data.group === 1 && demandLow[i] > 0 ? ` (${percent(row.worth[i] / demandLow[i])})` : "";
    lines.push([`${row.name}: ${num(row.high[i])} ready${row.load[i] ? `, ${num(row.load[i])} loading` : ""}`, `key ${row === rival ? rivalLook() : `look-${row.look}`}`]);
    if (row.worth[i] > 0) lines.push([`late: ${num(row.worth[i])} replicas' worth${share}`, "bad"]);
    if (explain && row === main) lines.push(...reasonsAt(i));
  }
  return lines;
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
    showTip(event, linesAt(i, chart.id === "supply"));
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
