// What every page has: the connection, the theme, toasts, asking before something is done.
export const body = document.body;
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
export const OWN = { "hx-request": "true" };

export function toast(text) {
  const box = Object.assign(document.createElement("div"), { className: "toast", textContent: text });
  $("#toasts").append(box);
  setTimeout(() => box.remove(), 6000);
}

// The bar below says so already where the connection is known to be gone.
export const silent = () => $("#offline").hidden && toast("The console doesn't answer.");

export async function post(url, data) {
  const answer = await fetch(url, { method: "POST", headers: { ...OWN, "content-type": "application/json" }, body: JSON.stringify(data) });
  if (!answer.ok) throw await refused(answer);
  return answer;
}

// What an error page says: in one line, and in its parts.
export async function refused(answer) {
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [what, why, hint, command] = ["what", "why", "hint", "command"].map((it) => $(`[data-${it}]`, page)?.textContent ?? "");
  const words = [what, why].filter(Boolean).join(": ") || page.body.textContent.trim() || `It answered ${answer.status}.`;
  return Object.assign(new Error(words), { what, why, hint, command, status: answer.status });
}

// Server-sent events. The browser comes back by itself; meanwhile the page says so.
const listeners = new Map();
export function on(event, act) {
  listeners.set(event, [...(listeners.get(event) ?? []), act]);
}
const tell = (event, data) => (listeners.get(event) ?? []).forEach((act) => act(data));
const state = $("#connection");
const WORDS = { starting: "Connecting", live: "Live", off: "Offline", trouble: "Trouble" };
let was = "starting";
on("back", () => $("main > .empty[data-failed]") && location.reload());
function show(now) {
  if (now === was && state.dataset.state === now) return;
  state.dataset.state = now;
  state.firstElementChild.textContent = WORDS[now];
  $("#offline").hidden = now !== "off";
  if (now !== "trouble") $("#trouble").hidden = true;
  if (now === "live" && (was === "off" || was === "trouble")) tell("back", {});
  was = now;
}
let source;
function connect() {
  source = new EventSource(`/events${body.dataset.desk ? "?desk=1" : ""}`);
  // That it is live is known when the cloud has answered too: "well" says so.
  source.onerror = () => {
    show("off");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
  source.addEventListener("well", () => show("live"));
  source.addEventListener("trouble", (event) => {
    const it = JSON.parse(event.data), box = $("#trouble");
    show("trouble");
    box.hidden = false;
    for (const part of ["what", "why", "hint", "command"]) $(`[data-${part}]`, box).textContent = it[part];
  });
  for (const name of ["image", "gone", "pulse"]) source.addEventListener(name, (event) => tell(name, JSON.parse(event.data)));
}
addEventListener("pagehide", () => source?.close());
addEventListener("pageshow", (event) => event.persisted && connect());
queueMicrotask(connect);

$("#theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("imgpipe-theme", root.dataset.theme); } catch { /* for this page then */ }
});

// Not by its address: going back from an image would lead to the top of the page, and not to the image's tile.
$(".skip").addEventListener("click", (event) => { event.preventDefault(); $("#main").focus(); });

addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, textarea, dialog[open]")) return;
  const field = $("#q");
  if (field) { event.preventDefault(); field.focus(); field.select(); }
});

// What changes something is asked about first, in a dialog that says what would be done.
export function asking(box, after = () => {}) {
  // What was begun goes on, whoever closes the dialog: so it stays until it is told how it ended.
  box.addEventListener("cancel", (event) => box.dataset.working && event.preventDefault());
  box.addEventListener("close", () => {
    const gone = !box.dataset.working && $("[data-gone]", box);
    if (gone) document.dispatchEvent(new CustomEvent("gone", { detail: gone.dataset.gone }));
  });
  document.addEventListener("click", async (event) => {
    const ask = event.target.closest("[data-ask]"), act = event.target.closest("[data-do]");
    if (ask && box.dataset.working) box.showModal();
    else if (ask) {
      const answer = await fetch(ask.dataset.ask, { headers: OWN }).catch(() => null);
      if (!answer) { silent(); return; }
      box.innerHTML = await answer.text();
      box.showModal();
      $("[data-close]", box)?.focus();
    } else if (act) {
      for (const it of $$("button", box)) it.disabled = true;
      const wait = $(".waiting", box);
      if (wait) wait.hidden = false;
      box.dataset.working = "1";
      const answer = await fetch(act.dataset.do, { method: "POST", headers: OWN }).catch(() => null);
      delete box.dataset.working;
      if (!answer) { silent(); box.close(); return; }
      box.innerHTML = await answer.text();
      if (!box.open) box.showModal(); // a browser obeys a second Escape whatever a page says
      $("[data-close]", box)?.focus();
      after();
    } else if (box.contains(event.target) && event.target.closest("[data-close]")) {
      box.close();
    }
  });
}
