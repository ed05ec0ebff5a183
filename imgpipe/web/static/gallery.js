// The gallery: pages of tiles that come while one scrolls and go when they are far, and one image closely.
import { $, $$, OWN, body, asking, on, refused, silent, toast } from "./console.js";

const FAR = "2500px";
const chunks = $("#chunks");
const sheet = $("#sheet");

export function tileOf(html) {
  const box = document.createElement("template");
  box.innerHTML = html.trim();
  return box.content.firstElementChild;
}
// A key as it stands in an attribute: there, a carriage return would be read as a line feed.
export const written = (key) => key.replace(/[%\x00-\x1f]/g, (it) => `%${it.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`);
const meant = (text) => text?.replace(/%([0-9A-F]{2})/g, (_, it) => String.fromCharCode(parseInt(it, 16)));
export const selector = (key) => `.tile[data-key="${CSS.escape(written(key))}"]`;
const keyOf = (it) => meant(it?.dataset.key);

// A picture fades in over its blur once it is there; one from the cache does at once.
document.addEventListener("load", (event) => event.target.matches?.("img.picture") && event.target.classList.add("there"), true);
document.addEventListener("error", (event) => event.target.matches?.("img.picture") && event.target.remove(), true);
export const settle = (root) => $$("img.picture", root).forEach((it) => it.complete && it.naturalWidth && it.classList.add("there"));

// Pages. A page that is far from the window keeps its height and its address, and no tile: memory doesn't grow.
let turn = 0;
async function ask(url) {
  const answer = await fetch(url, { headers: OWN });
  if (!answer.ok) throw await refused(answer);
  return { headers: answer.headers, html: await answer.text() };
}
// The page after the last one is fetched before it is reached, so that a scroll doesn't wait for it. What changes
// meanwhile is put in its place when it is shown.
let ahead = null;
function prepare(url) {
  const asked = ask(url);
  asked.catch(() => null); // whoever shows it asks again, and tells
  ahead = { url, asked, changed: new Map() };
}
async function prepared(url) {
  const it = ahead;
  if (it?.url !== url) return ask(url);
  const answer = await it.asked.catch(() => ask(url));
  if (ahead === it) ahead = null;
  return { ...answer, changed: it.changed };
}
function catchUp(section, changed) {
  for (const [key, html] of changed ?? []) {
    for (const it of $$(selector(key), section)) if (html) it.replaceWith(tileOf(html)); else it.remove();
  }
}
async function fill(section) {
  const mine = turn;
  section.dataset.state = "loading";
  try {
    const answer = await prepared(section.dataset.url);
    if (mine !== turn) return;
    section.innerHTML = answer.html;
    catchUp(section, answer.changed);
    section.classList.remove("loading");
    section.style.height = "";
    section.dataset.state = "there";
    if (section.dataset.first && !section.isConnected) begin(section);
    settle(section);
    next(section, answer);
  } catch (error) {
    if (mine !== turn) return;
    section.dataset.state = "failed";
    if (section.dataset.first && !section.isConnected) broken(error);
    else if (error.status) toast(`${error.message} Scroll to try again.`);
    else silent();
  }
}
function next(section, answer) {
  const url = answer.headers.get("x-next");
  if (Number(answer.headers.get("x-count")) === 0 && (!section.dataset.first || url)) section.hidden = true;
  if (section.dataset.next === "known") return;
  section.dataset.next = "known";
  if (url) add(url);
  else $("#end").hidden = section.dataset.first && chunks.querySelectorAll(".tile").length < 12;
  const found = chunks.querySelector(".tile, [data-state=away]");
  $("#looking").hidden = Boolean(found) || !url;
  if (!url && !found) nothing();
}
const watch = chunks && new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && !["loading", "there"].includes(target.dataset.state)) fill(target);
    else if (!isIntersecting && target.dataset.state === "there" && target.offsetHeight) {
      target.style.height = `${target.offsetHeight}px`;
      target.replaceChildren();
      target.dataset.state = "away";
    }
  }
}, { rootMargin: FAR });
function sectionFor(url) {
  const section = document.createElement("section");
  section.className = "chunk loading";
  section.dataset.url = url;
  return section;
}
function add(url) {
  const section = sectionFor(url);
  section.style.height = "400px";
  chunks.append(section);
  prepare(url);
  watch.observe(section);
}
const MESSAGES = ["empty", "nothing", "broken", "end", "looking"];
function nothing() {
  const plain = !new URLSearchParams(location.search.replace(/image=[^&]*/, "")).size;
  $(plain ? "#empty" : "#nothing").hidden = false;
  chunks.hidden = true;
}
function broken(error) {
  for (const id of MESSAGES) $(`#${id}`).hidden = id !== "broken";
  chunks.hidden = true;
  chunks.setAttribute("aria-busy", "false");
  const ours = error.status < 500; // what was asked for is amiss, and not the cloud
  $("#broken [data-what]").textContent = ours ? error.what : "The images can't be read";
  $("#broken [data-why]").textContent = ours ? error.why : error.status ? error.message : "The console doesn't answer.";
  $("#broken [data-again]").hidden = ours; // it would be answered alike
  for (const part of ["hint", "command"]) $(`#broken [data-${part}]`).textContent = error[part] ?? "";
}
// What is shown stays until the answer is there: a search doesn't flicker while somebody types.
export function reload(url = chunks.dataset.first) {
  turn += 1;
  ahead = null;
  chunks.dataset.first = url;
  chunks.setAttribute("aria-busy", "true");
  watch.disconnect();
  const section = sectionFor(url);
  section.dataset.first = "1";
  return fill(section);
}
function begin(section) {
  for (const id of MESSAGES) $(`#${id}`).hidden = true;
  chunks.hidden = false;
  chunks.replaceChildren(section);
  chunks.setAttribute("aria-busy", "false");
  watch.observe(section);
  for (const key of [...waiting.keys()]) if ($(selector(key), section)) newcomer(key);
}
if (chunks) reload();
$("#broken [data-again]")?.addEventListener("click", () => reload());
on("back", () => chunks && reload());

// How many there are: asked once, and again a while after something changed.
let asked = 0;
async function count() {
  asked = 0;
  const answer = await fetch("/counts", { headers: OWN }).catch(() => null);
  if (answer?.status === 202) { asked = setTimeout(count, 1000); return; }
  if (!answer?.ok) return;
  const told = await answer.json();
  for (const it of $$("[data-count]")) it.textContent = told[it.dataset.count] ?? "";
}
if (chunks) { count(); on("image", () => { asked ||= setTimeout(count, 2500); }); }

// Searching, while one types; the address says what is shown.
const form = $("#search");
let searching = false, changed = false;
async function search() {
  changed = true;
  if (searching) return; // one at a time: what was typed meanwhile is asked for next
  searching = true;
  while (changed) {
    changed = false;
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
    history.replaceState(null, "", query.size ? `/?${query}` : "/");
    body.toggleAttribute("data-searching", query.size > 0);
    await reload(`/tiles?${query}`);
  }
  searching = false;
}
if (form) {
  body.toggleAttribute("data-searching", [...new FormData(form)].some(([, value]) => value));
  form.addEventListener("submit", (event) => { event.preventDefault(); search(); });
  form.addEventListener("input", search);
  const clear = () => { for (const it of $$("input", form)) { if (it.type === "radio") it.checked = it.value === ""; else it.value = ""; } search(); };
  $("#clear").addEventListener("click", clear);
  $("[data-clear]").addEventListener("click", clear);
}

// What changed elsewhere: a tile that is shown is replaced where it is; a new one comes to the front.
on("image", ({ key, status, html }) => {
  ahead?.changed.set(key, html);
  const there = $$(selector(key));
  for (const old of there) {
    const held = old.contains(document.activeElement);
    const fresh = tileOf(html);
    old.replaceWith(fresh);
    settle(fresh);
    if (held) $("a", fresh).focus();
  }
  if (!there.length && chunks && status !== "removed") document.dispatchEvent(new CustomEvent("newcomer", { detail: { key, status, html } }));
  if (sheet?.open && keyOf($(".detail", sheet)) === key) open(`/image?key=${encodeURIComponent(key)}`, false, seen());
});

// Newcomers of others wait until somebody asks for them, so that nothing moves under a pointer.
const waiting = new Map(), pill = $("#newcomers");
let waits = 0;
function announce() {
  if (!pill) return;
  pill.hidden = !waits;
  pill.textContent = `${waits.toLocaleString()} new ${waits === 1 ? "image" : "images"}`;
}
export function newcomer(key) {
  const html = waiting.get(key);
  if (waiting.delete(key)) { waits -= 1; announce(); }
  return html && tileOf(html);
}
document.addEventListener("newcomer", ({ detail: { key, html } }) => {
  if (!$("#empty").hidden) { front(tileOf(html)); return; }
  if (!waiting.has(key)) waits += 1;
  waiting.set(key, html);
  if (waiting.size > MOST_FRESH) waiting.delete(waiting.keys().next().value);
  announce();
});
pill?.addEventListener("click", async () => {
  waiting.clear();
  waits = 0;
  announce();
  await reload();
  scrollTo({ top: 0 });
  $("a", chunks)?.focus({ preventScroll: true });
});

// What was just added, the latest first, and no more than fit there.
const fresh = $("#fresh"), freshTiles = $("#fresh-tiles");
export const MOST_FRESH = 80;
export function front(tile) {
  fresh.hidden = false;
  for (const id of ["empty", "nothing"]) $(`#${id}`).hidden = true;
  freshTiles.prepend(tile);
  settle(tile);
  const over = [...freshTiles.children].filter((it) => !it.classList.contains("sending")).slice(MOST_FRESH);
  over.forEach((it) => it.remove());
}
$("#fresh-clear")?.addEventListener("click", () => {
  for (const it of [...freshTiles.children]) if (!it.classList.contains("sending")) it.remove();
  fresh.hidden = !freshTiles.childElementCount;
  reload();
});

// Erasing is asked about in a dialog over the image; what was erased is shown no more.
if ($("#ask")) asking($("#ask"));
function gone(key) {
  ahead?.changed.set(key, "");
  for (const it of $$(selector(key))) it.remove();
  newcomer(key);
  // Who is being asked about it, or reads its receipt, reads to the end first.
  if ($("#ask")?.open || keyOf($(".detail", sheet)) !== key) return;
  if (sheet.showModal) close();
  else location.href = "/";
}
document.addEventListener("gone", ({ detail }) => gone(meant(detail)));
on("gone", ({ key }) => gone(key));

// One image closely. The address stays a link to it; Back closes it.
let opener, wanted = 0;
async function open(url, remember = true, kept = null) {
  const mine = (wanted += 1);
  const answer = await fetch(url, { headers: OWN }).catch(() => null);
  const html = await answer?.text();
  if (mine !== wanted) return; // another was opened meanwhile, or all closed
  if (!answer) { silent(); return; }
  sheet.innerHTML = html;
  htmx.process(sheet);
  if (!sheet.open) sheet.showModal?.();
  if (remember) history.pushState({ sheet: url }, "", url);
  dress();
  if (kept) resume(kept); else $("#sheet-title", sheet)?.focus();
}
// An image that is made again changes under who looks at it: all stays as it was arranged.
const pressed = (selector) => $(`${selector}[aria-pressed="true"]`, sheet);
function seen() {
  return {
    scrolled: [sheet.scrollTop, $(".about", sheet)?.scrollTop ?? 0, $(".stage", sheet)?.scrollTop ?? 0],
    name: pressed("[data-show]")?.dataset.name, compared: Boolean(pressed("[data-toggle-compare]")), large: Boolean(pressed("[data-toggle-size]")),
    split: $(".split", sheet)?.value, open: $(".timeline", sheet)?.open, told: $("[data-timeline]", sheet)?.innerHTML,
  };
}
function resume(kept) {
  if (kept.name) $(`[data-show][data-name="${CSS.escape(kept.name)}"]:enabled`, sheet)?.click();
  if (kept.compared) $("[data-toggle-compare]", sheet)?.click();
  if (kept.large) $("[data-toggle-size]", sheet)?.click();
  const split = $(".split", sheet), timeline = $(".timeline", sheet);
  if (split && kept.compared) { split.value = kept.split; split.dispatchEvent(new Event("input")); }
  if (timeline && kept.open) { $("[data-timeline]", timeline).innerHTML = kept.told; timeline.open = true; }
  if (!kept.compared) $("#sheet-title", sheet)?.focus({ preventScroll: true });
  [sheet, $(".about", sheet), $(".stage", sheet)].forEach((it, at) => { if (it) it.scrollTop = kept.scrolled[at]; });
}
function close(back = true) {
  wanted += 1;
  if (!sheet.open) return;
  sheet.close();
  sheet.replaceChildren();
  if (back && history.state?.sheet) history.back();
  const tile = opener && ($(`${selector(opener)} a`));
  tile?.focus();
}
if (sheet?.showModal) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-open]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    opener = keyOf(link.closest(".tile"));
    open(link.getAttribute("href"));
  });
  addEventListener("popstate", ({ state }) => (state?.sheet ? open(state.sheet, false) : close(false)));
  sheet.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  sheet.addEventListener("click", (event) => event.target.closest("[data-close]") && close());
  sheet.addEventListener("click", (event) => { const to = event.target.closest("[data-turn]"); if (to) go(Number(to.dataset.turn)); });
  sheet.addEventListener("keydown", (event) => {
    if (event.target.matches("input") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") go(1);
    if (event.key === "ArrowLeft") go(-1);
  });
}
function go(step) {
  const links = $$("#fresh-tiles a[data-open], #chunks a[data-open]");
  const at = links.findIndex((it) => it.closest(".tile").dataset.key === $(".detail", sheet)?.dataset.key);
  const to = links[at + step];
  if (at < 0 || !to) return;
  opener = keyOf(to.closest(".tile"));
  to.scrollIntoView({ block: "nearest" });
  const url = to.getAttribute("href");
  history.replaceState({ sheet: url }, "", url);
  open(url, false);
}

// The stage: which variant, true size, before and after; the timeline is asked for when it is opened.
function dress() {
  const root = sheet, stage = $("#stage", root), after = $("[data-after]", root), before = $("[data-before]", root);
  // No picture is drawn larger than it is; two that are compared have one size, that of the larger one.
  const fit = () => {
    const shown = [after, before].filter((it) => it?.naturalWidth && !it.hidden);
    if (!shown.length) return;
    stage.style.setProperty("--broad", `${Math.max(...shown.map((it) => it.naturalWidth))}px`);
    stage.style.setProperty("--tall", `${Math.max(...shown.map((it) => it.naturalHeight))}px`);
  };
  for (const it of [after, before]) it?.addEventListener("load", fit);
  if (after?.complete) fit();
  for (const button of $$("button[data-show]", root)) {
    button.addEventListener("click", () => {
      for (const it of $$("button[data-show]", root)) it.setAttribute("aria-pressed", String(it === button));
      after.src = button.dataset.show;
      after.width = button.dataset.width; after.height = button.dataset.height;
      after.alt = `${$("#sheet-title", root).textContent}, ${button.dataset.name}`;
      const name = $("[data-after-name]", root);
      if (name) name.textContent = button.dataset.name;
    });
  }
  // At true size nothing is compared: either lets go of the other.
  const sized = $("[data-toggle-size]", root), compared = $("[data-toggle-compare]", root);
  sized?.addEventListener("click", () => {
    sized.setAttribute("aria-pressed", String(stage.classList.toggle("true")));
    if (stage.classList.contains("true") && before && !before.hidden) compared.click();
  });
  const split = $(".split", root);
  split?.addEventListener("input", () => stage.style.setProperty("--split", `${split.value / 10}%`));
  split?.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 20, ArrowUp: 20, ArrowLeft: -20, ArrowDown: -20, PageUp: 100, PageDown: -100 }[event.key];
    if (!by) return;
    event.preventDefault();
    split.value = Number(split.value) + by;
    split.dispatchEvent(new Event("input"));
  });
  compared?.addEventListener("click", () => {
    const shown = before.hidden;
    if (shown && stage.classList.contains("true")) sized.click();
    before.src ||= before.dataset.src;
    for (const it of [before, split, ...$$(".handle, .label", root)]) it.hidden = !shown;
    compared.setAttribute("aria-pressed", String(shown));
    fit();
    if (shown) split.focus();
  });
  const timeline = $("[data-why]", root);
  const ask = async () => {
    if (!timeline.open || timeline.dataset.asked) return;
    timeline.dataset.asked = "1";
    const answer = await fetch(timeline.dataset.why, { headers: OWN }).catch(() => null);
    $("[data-timeline]", timeline).innerHTML = answer ? await answer.text() : "";
  };
  timeline?.addEventListener("toggle", ask);
  if (timeline) ask();
}
// An image's page of its own: those before and after it are asked for when it is there.
const besides = $("#beside");
async function lead() {
  const answer = await fetch(besides.dataset.url, { headers: OWN }).catch(() => null);
  if (!answer?.ok) return;
  for (const [side, url] of Object.entries(await answer.json())) {
    const link = $(`[data-turn="${side}"]`, besides);
    if (url) { link.href = url; link.removeAttribute("aria-disabled"); }
  }
}
if (sheet && !sheet.showModal) {
  dress();
  lead();
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input") || $("dialog[open]") || event.altKey || event.ctrlKey || event.metaKey) return;
    const side = { ArrowLeft: "before", ArrowRight: "after" }[event.key];
    if (side) $(`[data-turn="${side}"][href]`, besides)?.click();
  });
}

// Arrow keys walk the tiles.
document.addEventListener("keydown", (event) => {
  if (sheet?.open || $("dialog[open]")) return;
  const link = event.target.closest?.(".tiles a[data-open]");
  const links = $$("#fresh-tiles a[data-open], #chunks a[data-open]");
  // On a page that was just opened, the first step is onto the first tile.
  if (event.target === body && ["ArrowRight", "ArrowLeft"].includes(event.key)) links[0]?.focus();
  if (!link) return;
  const columns = getComputedStyle(link.closest(".tiles")).gridTemplateColumns.split(" ").length;
  const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
  const to = step && links[links.indexOf(link) + step];
  if (to) { event.preventDefault(); to.focus(); }
});
