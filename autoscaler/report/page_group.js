// The charts of models that share GPUs: who holds them, and whose work is late, by one division and by another.
const [main, ...others] = data.divisions;
let rival = others[0];
for (const division of data.divisions) {
  let top = zero;
  division.worth = new Float64Array(n);
  for (const row of division.lines) {
    row.gpus = unstep(row.gpus);
    row.worth = unsparse(row.late_gpu_s).map((late) => late / data.point_s);
    top = row.top = row.gpus.map((gpus, i) => top[i] + gpus);
    row.worth.forEach((worth, i) => { division.worth[i] += worth; });
  }
  division.top = top;
}
// Demand may be many times what there is: its peaks are cut, so that what is held can be seen.
function gpusChart(id, division) {
  const budget = new Float64Array(n).fill(data.gpus);
  const { chart, x, y } = timeChart(id, 270, `GPUs held over time, ${division.title}`, [division.top, budget.map((gpus, i) => Math.min(1.5 * gpus, demandHigh[i])), budget], "GPUs");
  division.lines.map((row, k) => [row, data.lines[k]]).reverse().forEach(([row, { look }]) => area(chart, zero, row.top, x, y, `held look-${look}`));
  line(chart, demandLow, demandHigh, x, y, "demand");
  el(chart.plot, "line", { class: "budget", x1: chart.box.left, x2: chart.box.right, y1: y(data.gpus), y2: y(data.gpus) });
}
function lateChart(id, division) {
  lateLanes(id, `Late work over time, ${division.title}`, division.lines.map((row, k) => ({
    text: `${data.lines[k].title}: ${lateText(row)}`, worth: row.worth, look: `look-${data.lines[k].look}`,
  })), [main, rival].flatMap((each) => each.lines.map((row) => row.worth)));
}
function linesAt(i, id) {
  const division = id.endsWith("rival") ? rival : main;
  const lines = headLines(i, "GPUs");
  lines.push([`${num(division.top[i])} of ${num(data.gpus)} GPUs held`]);
  division.lines.forEach((row, k) => {
    const late = row.worth[i] > 0 ? `, ${num(row.worth[i])} GPUs' worth late` : "";
    lines.push([`${data.lines[k].title}: ${num(row.gpus[i])}${late}`, `key look-${data.lines[k].look}`]);
  });
  return lines;
}
function timeCharts() {
  gpusChart("gpus", main);
  gpusChart("gpus-rival", rival);
  lateChart("late", main);
  lateChart("late-rival", rival);
  for (const node of document.querySelectorAll(".rival-title")) node.textContent = rival.title;
}
function otherCharts() {}
