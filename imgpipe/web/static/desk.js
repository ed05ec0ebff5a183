// The desk: what waits and moves on the drawn pipeline, charts of the last hour, what failed and its way back.
import { $, $$, OWN, asking, on } from "./console.js";

asking($("#ask"), () => { htmx.trigger("#letters", "refresh"); htmx.trigger("#state", "refresh"); });

// Nothing moves under somebody's pointer: what is below the state is shown when it is known how tall that is.
const desk = $(".desk"), awaited = new Set(["state", "letters"]);
const arrived = (id) => { awaited.delete(id); if (!awaited.size) desk.classList.remove("arriving"); };
setTimeout(() => ["state", "letters"].forEach(arrived), 15_000); // where the cloud doesn't answer, what is here is shown

// The state brings the alarms with it; they have a place of their own.
document.addEventListener("htmx:after:swap", () => {
  for (const id of [...awaited]) if (!$(`#${id} [data-waiting]`)) arrived(id);
  const now = $("#alarms-now");
  if (!now) return;
  const open = $("#alarms details")?.open;
  $("#alarms").replaceChildren(now.content.cloneNode(true));
  now.remove();
  if (open) $("#alarms details")?.setAttribute("open", "");
});

// The picture: a badge on each queue says what it holds; dots run along the arrows that something moves on.
const SVG = "http://www.w3.org/2000/svg";
const make = (name, attributes, ...inside) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inside);
  return made;
};
const svg = $("#diagram svg");
{ const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number); svg.setAttribute("viewBox", `18 46 ${width - 36} ${height - 50}`); }
const boxes = new Map($$("[data-box]", svg).map((rect) => {
  const detail = rect.parentNode.querySelectorAll(":scope > .detail");
  const own = [...detail].find((it) => it.compareDocumentPosition(rect) & Node.DOCUMENT_POSITION_PRECEDING);
  return [rect.dataset.box, { rect, detail: own, words: own.textContent }];
}));
const arrows = $$("path.line", svg).map((line) => {
  const dots = make("path", { class: "dots", d: line.getAttribute("d") });
  line.after(dots);
  return { dots, from: line.dataset.from, to: line.dataset.to };
});
const badges = new Map();
for (const [name, { rect }] of boxes) if (name.startsWith("queue ")) badges.set(name, badge(rect));
function badge(rect) {
  const pill = make("rect", { height: 20, y: -10, rx: 10 }), text = make("text", { "text-anchor": "middle", y: 4 });
  const x = Number(rect.getAttribute("x")) + Number(rect.getAttribute("width")) - 4;
  const group = make("g", { class: "badge", transform: `translate(${x} ${rect.getAttribute("y")})` }, pill, text);
  svg.append(group);
  return { group, pill, text };
}
function hold(name, depth) {
  const it = badges.get(`queue ${name}`);
  if (!it) return;
  const words = depth.toLocaleString(), width = 16 + words.length * 7.5;
  it.group.classList.toggle("busy", depth > 0);
  it.text.textContent = words;
  it.pill.setAttribute("width", width); it.pill.setAttribute("x", -width / 2);
}
// Dead letters: their number, and a colour that is seen from afar, on the chip that names their queue.
const chips = $$("text.dlqname", svg).map((text) => ({ text, pill: text.previousElementSibling, name: text.textContent }));
function bury(letters) {
  for (const [name, count] of Object.entries(letters)) {
    hold(name, count);
    badges.get(`queue ${name}`)?.group.classList.toggle("full", count > 0);
    for (const it of chips) {
      if (it.name !== name && !(it.name.endsWith("…") && name.startsWith(it.name.slice(0, -1)))) continue;
      it.text.textContent = count ? `${it.name} · ${count.toLocaleString()}` : it.name;
      it.pill.classList.toggle("full", count > 0); it.text.classList.toggle("full", count > 0);
      const width = 16 + it.text.textContent.length * 5.4;
      it.pill.setAttribute("width", width);
      it.text.setAttribute("x", Number(it.pill.getAttribute("x")) + width / 2);
    }
  }
}
let rates = {}, working = {};
// An arrow moves no more than what leaves the box where it begins, nor than what reaches the one where it ends.
function along(from, to) {
  const known = [rates[from]?.[1], rates[to]?.[0]].filter((it) => it != null);
  return known.length ? Math.min(...known) : 0;
}
function move() {
  for (const [name, { detail, words }] of boxes) {
    const rate = Math.max(...(rates[name] ?? [0]));
    detail.textContent = rate ? `${Math.round(rate).toLocaleString()} a minute` : words;
  }
  for (const { dots, from, to } of arrows) {
    const busy = working[from], rate = along(from, to);
    dots.classList.toggle("moving", Boolean(rate || busy));
    // From one dot in two seconds for one message a minute to five a second for a thousand.
    dots.style.setProperty("--step", `${(2 / (1 + 3 * Math.log10(1 + (rate || 1)))).toFixed(2)}s`);
  }
}
on("pulse", (pulse) => {
  working = {};
  for (const [name, { depth, in_flight: taken }] of Object.entries(pulse.queues)) {
    hold(name, depth);
    working[`queue ${name}`] = taken;
  }
  bury(pulse.letters);
  move();
  $("#through-now").textContent = `${pulse.done_per_min.toLocaleString()} in the last minute`;
  $("#latency-now").textContent = pulse.p50_ms == null ? "none lately" : `${seconds(pulse.p50_ms / 1000)} · ${seconds(pulse.p95_ms / 1000)} lately`;
});

// Charts of the last hour, by the minute.
const seconds = (it) => `${it.toFixed(it < 10 ? 1 : 0)} s`;
const whole = (it) => Math.round(it).toLocaleString();
let told;
async function history() {
  const answer = await fetch("/desk/history", { headers: OWN }).catch(() => null);
  if (!answer?.ok) return;
  told = await answer.json();
  rates = told.rates;
  move();
  draw();
}
function draw() {
  if (!told) return;
  chart($("#through"), [told.ended], whole, 4, true);
  chart($("#latency"), [told.p95_s, told.p50_s], seconds, 1, false);
}
history();
setInterval(() => document.hidden || history(), 20_000);
addEventListener("resize", draw);

function chart(svg, series, words, least, bars) {
  const width = svg.clientWidth || 400, height = 150, left = 46, bottom = 22, count = series[0].length;
  const most = Math.max(...series.flat().filter((it) => it != null), least), top = most * 1.12;
  const step = (width - left - 4) / count;
  const x = (at) => left + step * (at + 0.5), y = (value) => height - bottom - ((height - bottom - 6) * value) / top;
  const at = (number) => new Date(Date.parse(told.since) + number * 60_000).toISOString().slice(11, 16);
  const parts = [0, 0.5, 1].map((share) => [
    make("path", { class: "rule", d: `M${left} ${y(most * share)}H${width - 4}` }),
    make("text", { x: left - 8, y: y(most * share) + 4, "text-anchor": "end" }, words(most * share)),
  ]).flat();
  series.forEach((values, number) => {
    const known = values.map((value, place) => [place, value]).filter(([, value]) => value != null && (value || !bars));
    if (bars) for (const [place, value] of known) parts.push(make("rect", { class: "bar", x: x(place) - step * 0.36, width: Math.max(step * 0.72, 1.5), y: y(value), height: height - bottom - y(value), rx: Math.min(2, step / 3) }, make("title", {}, `${at(place)}: ${words(value)}`)));
    else {
      const name = series.length > 1 && !number ? "two" : "one";
      const line = known.map(([place, value], index) => `${index && place - known[index - 1][0] < 4 ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`).join("");
      parts.push(make("path", { class: `curve ${name}`, d: line }));
      for (const [place, value] of known) parts.push(make("circle", { class: `point ${name}`, cx: x(place), cy: y(value), r: 2.6 }, make("title", {}, `${at(place)}: ${words(value)}`)));
    }
  });
  for (const [place, anchor] of [[0, "start"], [count / 2, "middle"], [count - 1, "end"]]) parts.push(make("text", { x: anchor === "start" ? left : anchor === "end" ? width - 4 : x(place), y: height - 4, "text-anchor": anchor }, place === count - 1 ? "now" : at(place)));
  if (!series.flat().some((it) => it)) parts.push(make("text", { class: "nothing", x: left + (width - left) / 2, y: (height - bottom) / 2 + 4, "text-anchor": "middle" }, "nothing in the last hour"));
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...parts);
}
