// The charts over policies: cost against lateness, and cost.
const MARKS = {
  circle: "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0 -5 0Z", square: "M-4.5 -4.5H4.5V4.5H-4.5Z", triangle: "M0 -6L5.5 4.5H-5.5Z", down: "M0 6L5.5 -4.5H-5.5Z",
  diamond: "M0 -6.5L6 0L0 6.5L-6 0Z", cross: "M-5 -2H-2V-5H2V-2H5V2H2V5H-2V2H-5Z", star: "M0 -9L2.4 -3H8.6L3.7 1L5.4 7.4L0 3.8L-5.4 7.4L-3.7 1L-8.6 -3H-2.4Z",
};
function latenessScale(chart) {
  const positive = [data.late_budget];
  for (const row of [...data.policies, ...data.frontiers]) for (const late of [].concat(row.late)) if (late > 0) positive.push(late);
  const low = Math.max(-6, Math.floor(Math.log10(Math.min(...positive)))), high = Math.min(0, Math.ceil(Math.log10(Math.max(...positive))));
  const start = chart.box.left + 58; // the place for 0, which a logarithm has not
  const x = (late) => late > 0 ? start + ((Math.max(low, Math.log10(late)) - low) / (high - low || 1)) * (chart.box.right - 14 - start) : chart.box.left + 16;
  for (let power = low; power <= high; power++) {
    const at = x(10 ** power);
    el(chart.under, "line", { class: "grid", x1: at, x2: at, y1: chart.box.top, y2: chart.box.bottom });
    el(chart.svg, "text", { class: "tick", x: at, y: chart.box.bottom + 17, "text-anchor": "middle" }, `${trim(100 * 10 ** power, 4)} %`);
  }
  el(chart.svg, "text", { class: "tick", x: x(0), y: chart.box.bottom + 17, "text-anchor": "middle" }, "0");
  el(chart.under, "rect", { class: "zero", x: chart.box.left, width: 34, y: chart.box.top, height: chart.box.bottom - chart.box.top });
  return x;
}
// Puts a label on the first place around its point that is free and inside, or else on the one that hides least; one
// that isn't beside its point has a line to it.
const overlap = (a, b) => Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0)) * Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));
function labelSpots(width) {
  const spots = [];
  for (let far = 0; far <= 126; far += 14)
    for (const dy of far ? [4 - far, 4 + far] : [4]) for (const dx of [11, -11 - width]) spots.push([dx, dy]);
  for (let far = 0; far <= 112; far += 14)
    for (const dx of [-width / 2, -width / 4, (-3 * width) / 4]) spots.push([dx, -12 - far], [dx, 20 + far]);
  for (const out of [32, 64, 96]) for (let far = 0; far <= 126; far += 14)
    for (const dy of far ? [4 - far, 4 + far] : [4]) spots.push([out, dy], [-out - width, dy]);
  const away = ([dx, dy]) => Math.hypot(Math.max(0, dx, -dx - width), dy - 4);
  return spots.sort((a, b) => away(a) - away(b));
}
function placeLabel(chart, taken, cx, cy, text, cls) {
  const node = el(chart.svg, "text", { class: `label ${cls}` }, text);
  const width = node.getComputedTextLength() + 2, box = chart.box;
  let chosen = null;
  for (const [dx, dy] of labelSpots(width)) {
    const spot = { dx, dy, x0: cx + dx - 1, x1: cx + dx + width, y0: cy + dy - 11, y1: cy + dy + 3 };
    if (spot.x0 < box.left || spot.x1 > box.right || spot.y0 < box.top || spot.y1 > box.bottom) continue;
    spot.hidden = taken.reduce((sum, other) => sum + overlap(spot, other), 0);
    if (!chosen || spot.hidden < chosen.hidden) chosen = spot;
    if (!chosen.hidden) break;
  }
  // A chart that is narrower than the label has no place inside.
  chosen ||= { dx: 11, dy: 4, x0: cx + 10, x1: cx + 11 + width, y0: cy - 7, y1: cy + 7 };
  taken.push(chosen);
  node.setAttribute("x", px(cx + chosen.dx));
  node.setAttribute("y", px(cy + chosen.dy));
  const endX = Math.min(Math.max(cx, chosen.x0 - 2), chosen.x1 + 2), endY = Math.min(Math.max(cy, chosen.y0), chosen.y1);
  if (Math.hypot(endX - cx, endY - cy) > 14) el(chart.plot, "line", { class: `leader ${cls}`, x1: px(cx), y1: px(cy), x2: px(endX), y2: px(endY) });
}
const describe = (row) => [[row.title, "head"], [`${row.gpu_hours_text} GPU-hours`], [lateText(row), row.within_budget ? "" : "bad"]];
const hover = (node, lines) => { node.addEventListener("pointermove", (event) => showTip(event, lines)); node.addEventListener("pointerleave", hideTip); };
function costLateChart() {
  const chart = frame("frontier", 400, { left: 58, right: 12, top: 44, bottom: 44 }, "GPU-hours against late share of every policy");
  const costs = data.policies.map((row) => row.gpu_hours);
  const low = Math.max(0.01, Math.min(...costs) * 0.9), high = Math.max(0.02, Math.max(...costs) * 1.12);
  const linear = scale(Math.log(low), Math.log(high), chart.box.bottom, chart.box.top), x = latenessScale(chart);
  const y = (cost) => linear(Math.log(Math.max(low, cost))); // equal ratios are equal distances, so a dear static fleet squeezes nobody
  yAxis(chart, y, logTicks(low, high));
  el(chart.svg, "text", { class: "unit", x: 2, y: 15 }, "GPU-hours (logarithmic)"); // above "asked", which may be at the left
  el(chart.svg, "text", { class: "unit", x: (chart.box.left + chart.box.right) / 2, y: chart.box.bottom + 36, "text-anchor": "middle" }, `share of ${data.late_of} that is late (logarithmic)`);
  const budget = x(data.late_budget);
  el(chart.under, "rect", { class: "over", x: budget, width: Math.max(0, chart.box.right - budget), y: chart.box.top, height: chart.box.bottom - chart.box.top });
  el(chart.under, "line", { class: "budget", x1: budget, x2: budget, y1: chart.box.top, y2: chart.box.bottom });
  el(chart.svg, "text", { class: "unit bad", x: Math.min(budget, chart.box.right - 30), y: chart.box.top - 9, "text-anchor": "middle" }, `asked: ${percent(data.late_budget)}`);
  for (const row of data.frontiers) {
    const points = row.targets.map((target, k) => [target, row.late[k], row.gpu_hours[k]]).filter((p) => p[1] !== null && p[2] !== null);
    el(chart.plot, "path", { class: `line look-${row.look} thin`, d: points.map((p, k) => `${k ? "L" : "M"}${px(x(p[1]))} ${px(y(p[2]))}`).join("") });
    for (const [target, late, cost] of points)
      hover(el(chart.plot, "circle", { class: `fill look-${row.look} dot`, cx: x(late), cy: y(cost), r: 3 }), [[`${row.title}, target ${trim(target, 3)}`, "head"], [`${num(cost)} GPU-hours`], [`${percent(late)} late`]]);
  }
  const shown = data.policies.filter((row) => row.late !== null);
  const taken = shown.map((row) => ({ x0: x(row.late) - 7, x1: x(row.late) + 7, y0: y(row.gpu_hours) - 6, y1: y(row.gpu_hours) + 6 }));
  for (const row of [...shown].reverse())
    hover(el(chart.svg, "path", { class: `mark look-${row.look}${row.hollow ? " hollow" : ""}`, d: MARKS[row.marker], transform: `translate(${px(x(row.late))} ${px(y(row.gpu_hours))})` }), describe(row));
  for (const row of shown) placeLabel(chart, taken, x(row.late), y(row.gpu_hours), row.name, `look-${row.look}`);
}
function costChart() {
  const rows = [...data.policies].sort((a, b) => a.gpu_hours - b.gpu_hours), step = Math.max(26, Math.min(40, 340 / rows.length));
  const left = Math.max(...rows.map((row) => row.name.length)) * 7 + 16;
  const chart = frame("cost", 36 + rows.length * step, { left, right: 140, top: 28, bottom: 8 }, "GPU-hours of every policy");
  const most = Math.max(...rows.map((row) => row.gpu_hours)) || 1;
  el(chart.svg, "text", { class: "unit", x: chart.box.left, y: 16 }, "GPU-hours");
  el(chart.svg, "text", { class: "unit", x: chart.box.right + 134, y: 16, "text-anchor": "end" }, "late");
  rows.forEach((row, k) => {
    const y = chart.box.top + k * step, width = ((chart.box.right - chart.box.left) * row.gpu_hours) / most;
    el(chart.svg, "text", { class: `label look-${row.look}`, x: left - 10, y: y + step / 2 + 1, "text-anchor": "end" }, row.name);
    hover(el(chart.svg, "rect", { class: `fill look-${row.look}${row.within_budget ? "" : " faint"}`, x: left, y: y + 4, width: Math.max(1, width), height: step - 10, rx: 2 }), describe(row));
    el(chart.svg, "text", { class: "value", x: left + width + 7, y: y + step / 2 + 1 }, row.gpu_hours_text);
    el(chart.svg, "text", { class: row.within_budget ? "value" : "value bad", x: chart.box.right + 134, y: y + step / 2 + 1, "text-anchor": "end" }, row.late_text);
  });
}
function otherCharts() {
  costLateChart();
  costChart();
}
