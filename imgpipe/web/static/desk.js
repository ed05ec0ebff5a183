// The desk: queue depths on the drawn pipeline, charts of the last minutes, what failed and its way back.
import { $, $$, asking, on } from "./console.js";

asking($("#ask"), () => { htmx.trigger("#letters", "refresh"); htmx.trigger("#state", "refresh"); });

// The state brings the alarms with it; they have a place of their own.
document.addEventListener("htmx:after:swap", () => {
  const now = $("#alarms-now");
  if (!now) return;
  const open = $("#alarms details")?.open;
  $("#alarms").replaceChildren(now.content.cloneNode(true));
  if (open) $("#alarms details")?.setAttribute("open", "");
});

// The picture: a badge on each queue, and dots along the way into it while something moves.
const SVG = "http://www.w3.org/2000/svg";
const diagram = $("#diagram");
const badges = new Map();
const svg = $("svg", diagram);
{ const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number); svg.setAttribute("viewBox", `18 46 ${width - 36} ${height - 50}`); }
for (const text of $$("text.name", svg)) {
  const box = text.closest("g") ?? svg;
  const rect = [...svg.querySelectorAll("rect.box")].find((it) => Math.abs(Number(it.getAttribute("x")) + 45 - Number(text.getAttribute("x"))) < 1 && Math.abs(Number(it.getAttribute("y")) + 23 - Number(text.getAttribute("y"))) < 1);
  const shape = rect?.nextElementSibling;
  if (shape?.classList.contains("queue")) badges.set(text.textContent, badge(rect, box));
}
function badge(rect) {
  const group = document.createElementNS(SVG, "g");
  const x = Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")) - 4, y = Number(rect.getAttribute("y"));
  group.setAttribute("class", "badge");
  group.setAttribute("transform", `translate(${x} ${y})`);
  const pill = document.createElementNS(SVG, "rect"), text = document.createElementNS(SVG, "text");
  pill.setAttribute("height", 20); pill.setAttribute("y", -10); pill.setAttribute("rx", 10);
  text.setAttribute("text-anchor", "middle"); text.setAttribute("y", 4);
  group.append(pill, text);
  svg.append(group);
  return { group, pill, text, lines: $$("path.line", svg).filter((it) => it.getAttribute("d").includes(`${rect.getAttribute("x")} ${Number(rect.getAttribute("y")) + 25}`) || it.getAttribute("d").startsWith(`M${Number(rect.getAttribute("x")) + Number(rect.getAttribute("width"))} ${Number(rect.getAttribute("y")) + 25}`)) };
}
function show(name, { depth, in_flight: working }) {
  const it = badges.get(name) ?? [...badges].find(([short]) => short.endsWith("…") && name.startsWith(short.slice(0, -1)))?.[1];
  if (!it) return;
  const words = depth.toLocaleString(), width = 16 + words.length * 7.5;
  it.group.classList.toggle("busy", depth > 0);
  it.text.textContent = words;
  it.pill.setAttribute("width", width); it.pill.setAttribute("x", -width / 2);
  for (const line of it.lines) line.classList.toggle("flowing", depth > 0 || working > 0);
}

// Charts of what came since the page was opened, at most ten minutes.
const history = [];
on("pulse", (pulse) => {
  for (const [name, queue] of Object.entries(pulse.queues)) show(name, queue);
  history.push({ ...pulse, at: Date.parse(pulse.at) });
  while (history.length > 300) history.shift();
  draw($("#through"), [history.map((it) => it.done_per_min)], (it) => Math.round(it).toLocaleString(), 4);
  draw($("#latency"), [history.map((it) => (it.p50_ms ?? 0) / 1000), history.map((it) => (it.p95_ms ?? 0) / 1000)], (it) => `${it.toFixed(it < 10 ? 1 : 0)} s`);
  $("#through-now").textContent = `${pulse.done_per_min} now`;
  $("#latency-now").textContent = pulse.p50_ms == null ? "no image lately" : `${(pulse.p50_ms / 1000).toFixed(1)} s · ${(pulse.p95_ms / 1000).toFixed(1)} s`;
});
function draw(chart, series, words, least = 1) {
  const width = chart.clientWidth || 400, height = 150, left = 46, bottom = 20;
  const top = Math.max(...series.flat(), least) * 1.15;
  const x = (at) => left + ((width - left - 4) * at) / Math.max(series[0].length - 1, 1);
  const y = (value) => height - bottom - ((height - bottom - 8) * value) / top;
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [0, 0.5, 1].map((share) => {
    const value = (top / 1.15) * share;
    return `<path class="rule" d="M${left} ${y(value)}H${width - 4}"/><text x="${left - 8}" y="${y(value) + 4}" text-anchor="end">${words(value)}</text>`;
  });
  series.forEach((values, number) => {
    const line = values.map((value, at) => `${at ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    if (!number) parts.push(`<path class="area" d="${line}V${height - bottom}H${left}Z"/>`);
    parts.push(`<path class="curve ${number ? "two" : ""}" d="${line}"/>`);
  });
  const span = history.length > 1 ? Math.round((history.at(-1).at - history[0].at) / 1000) : 0;
  parts.push(`<text x="${left}" y="${height - 3}">${span < 90 ? `${span} s` : `${Math.round(span / 60)} min`} ago</text><text x="${width - 4}" y="${height - 3}" text-anchor="end">now</text>`);
  chart.innerHTML = parts.join("");
}
