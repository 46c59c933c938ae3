// Draws everything and listens to the controls.
const zoomed = document.getElementById("zoomed");
function drawTime() {
  hideTip();
  charts = [];
  timeCharts();
  zoomed.textContent = `${moment(view.from)} to ${moment(view.to)}`;
}
function draw() {
  drawTime();
  otherCharts();
  document.documentElement.dataset.rendered = document.querySelectorAll(".chart > svg").length;
}
function controls() {
  const select = document.getElementById("rival");
  for (const row of others) select.append(new Option(row.title, row.name, false, row === rival));
  select.disabled = !rival;
  select.addEventListener("change", () => { rival = others.find((row) => row.name === select.value); drawTime(); });
  const on = (id, act) => document.getElementById(id).addEventListener("click", act);
  const span = () => view.to - view.from;
  on("whole", () => look(0, n));
  on("out", () => look(view.from - span() / 2, view.to + span() / 2));
  on("earlier", () => look(view.from - span() / 2, view.to - span() / 2));
  on("later", () => look(view.from + span() / 2, view.to + span() / 2));
  const worst = worstHour(main);
  document.getElementById("worst").disabled = worst === null;
  on("worst", () => look(worst - 2 * hourPoints, worst + 2 * hourPoints));
  let timer = 0, width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; clearTimeout(timer); timer = setTimeout(draw, 120); } });
}
controls();
draw();
