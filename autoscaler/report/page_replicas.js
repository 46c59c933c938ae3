// The charts over time of one trace's policies: demand, replicas and late work.
const main = data.policies[0];
const others = data.policies.filter((row) => row !== main);
const best = data.policies.find((row) => row.name === "hpa-best");
let rival = (best && best.look !== main.look ? best : others.find((row) => row.look !== main.look)) || others[0] || null;
// A rival of the same family would be drawn in the same colour.
const rivalLook = () => (rival.look === main.look ? "same" : `look-${rival.look}`);
for (const row of data.policies) {
  row.high = unstep(row.ready_high);
  row.low = row.ready_low ? unstep(row.ready_low) : row.high;
  row.load = unstep(row.loading);
  row.ordered = row.high.map((ready, i) => ready + row.load[i]);
  // No more than arrived is late: both are rounded, and a wholly late bin would be 100.1 % late.
  row.worth = unsparse(row.late_rs).map((late, i) => Math.min(late / data.point_s, demandHigh[i]));
}
const reasonAt = data.reasons && unstep(data.reasons.at);
function demandChart() {
  const band = data.forecast;
  const { chart, x, y } = timeChart("demand", 270, "Demand and forecast over time", band ? [demandHigh, band.high] : [demandHigh], "replicas");
  if (band) {
    area(chart, band.low, band.high, x, y, "band");
    line(chart, band.median, band.median, x, y, "median");
  }
  line(chart, demandLow, demandHigh, x, y, "demand");
}
function supplyChart() {
  const curves = [demandHigh, main.ordered];
  if (rival) curves.push(rival.high);
  const { chart, x, y } = timeChart("supply", 300, "Ready and loading replicas over time", curves, "replicas");
  area(chart, zero, main.ordered, x, y, `loading look-${main.look}`);
  area(chart, zero, main.high, x, y, `ready look-${main.look}`);
  line(chart, main.low, main.high, x, y, `look-${main.look}`);
  if (rival) line(chart, rival.low, rival.high, x, y, `rival ${rivalLook()}`);
  line(chart, demandLow, demandHigh, x, y, "demand");
}
function lateChart() {
  const shown = rival ? [main, rival] : [main];
  lateLanes("late", "Late work over time", shown.map((row) => ({
    text: `${row.title}: ${lateText(row)}`,
    worth: row.worth,
    look: row === rival ? rivalLook() : `look-${row.look}`,
  })), shown.map((row) => row.worth));
}
function reasonsAt(i) {
  if (!reasonAt) return [];
  const lines = data.reasons.texts[reasonAt[i]].map((text) => [text, "why"]);
  return data.group > 1 ? [["Where the replicas wanted changed most:", "why"], ...lines] : lines;
}
function linesAt(i, id) {
  const lines = headLines(i, "replicas");
  if (data.forecast && data.forecast.median[i] !== null)
    lines.push([`forecast ${num(data.forecast.median[i])} (${num(data.forecast.low[i])} to ${num(data.forecast.high[i])})`]);
  for (const row of rival ? [main, rival] : [main]) {
    const share = data.group === 1 && demandLow[i] > 0 ? ` (${percent(row.worth[i] / demandLow[i])})` : "";
    lines.push([`${row.name}: ${num(row.high[i])} ready${row.load[i] ? `, ${num(row.load[i])} loading` : ""}`, `key ${row === rival ? rivalLook() : `look-${row.look}`}`]);
    if (row.worth[i] > 0) lines.push([`late: ${num(row.worth[i])} replicas' worth${share}`, "bad"]);
    if (id === "supply" && row === main) lines.push(...reasonsAt(i));
  }
  return lines;
}
function timeCharts() {
  demandChart();
  supplyChart();
  lateChart();
  const key = document.getElementById("rival-key");
  key.hidden = !rival;
  if (rival) key.textContent = rival.title;
  key.className = rival ? `key rival ${rivalLook()}` : "key";
}
