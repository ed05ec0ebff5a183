// Files on their way: dropped or chosen, straight to S3 by signed form, several at once; large ones in parts that a
// page which is opened again goes on with.
import { $, $$, body, post, toast } from "./console.js";
import { MOST_FRESH, front, newcomer, selector, tileOf, written } from "./gallery.js";
import { AwsS3, GoldenRetriever, Uppy } from "./vendor/uppy.min.js";

// A form can't hold a name with a line break: browsers change what they send of it, and S3 then refuses the form.
const UNFIT = /[\r\n]/;
const LARGE = 32 * 1024 * 1024;
const CALLS = { POST: (it) => (it.uploadId ? "complete" : "create"), GET: () => "list", DELETE: () => "abort", PUT: () => "part" };
const uppy = new Uppy({ id: "imgpipe", autoProceed: true, allowMultipleUploadBatches: true });

async function signed(asked) {
  if (asked.method === "PUT" && !asked.uploadId) return (await post("/uploads/form", { name: asked.key })).json();
  const call = CALLS[asked.method](asked);
  return (await post("/uploads/link", { call, key: asked.key, uploadId: asked.uploadId, partNumber: asked.partNumber })).json();
}
uppy.use(AwsS3, {
  limit: 6,
  shouldUseMultipart: (file) => (file.size ?? 0) > LARGE || UNFIT.test(file.meta.relativePath || file.name),
  generateObjectKey: (file) => file.meta.relativePath || file.name,
  signRequest: signed,
});
// What was on its way when the page was closed goes on; of a large file, after the parts that S3 has.
uppy.use(GoldenRetriever, { serviceWorker: false, indexedDB: { maxFileSize: 2e9, maxTotalSize: 4e9 } });
uppy.on("restored", () => {
  const files = uppy.getFiles();
  if (!files.length) return;
  for (const file of files) if (file.isGhost) uppy.removeFile(file.id); else begin(file);
  uppy.emit("restore-confirmed");
});

// A tile for each file, as long as they fit; beyond that they are counted.
const tiles = new Map();
const CANCEL = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/></svg>';
const AGAIN = '<svg viewBox="0 0 24 24" aria-hidden="true"><path d="M19 12a7 7 0 1 1-2.2-5.1M19 4.5v3.5h-3.5"/></svg>';
function tileFor(file) {
  const tile = tileOf(`<li class="tile sending"><span class="frame"><span class="note"><span data-word></span></span><progress max="1" value="0"></progress><span class="name"><bdi></bdi></span></span><button type="button" class="act"></button></li>`);
  const name = file.meta.relativePath || file.name;
  $("bdi", tile).textContent = name;
  $("progress", tile).ariaLabel = `Uploading ${name}`;
  if (/^image\/(jpeg|png|webp|gif|avif)$/.test(file.type ?? "") && file.size < 20e6 && file.data instanceof Blob) {
    const preview = Object.assign(document.createElement("img"), { className: "preview", alt: "", src: URL.createObjectURL(file.data), decoding: "async" });
    preview.onload = () => URL.revokeObjectURL(preview.src);
    preview.onerror = () => preview.remove();
    $(".frame", tile).prepend(preview);
  }
  say(tile, "Waiting", CANCEL, `Cancel ${name}`);
  $(".act", tile).addEventListener("click", () => (tile.dataset.failed ? again(file.id) : uppy.removeFile(file.id)));
  return tile;
}
function say(tile, word, icon, label) {
  $("[data-word]", tile).textContent = word;
  const act = $(".act", tile);
  act.innerHTML = icon;
  act.ariaLabel = act.title = label;
}
function again(id) {
  const tile = tiles.get(id);
  if (tile) { delete tile.dataset.failed; tile.classList.remove("failed"); $("progress", tile).hidden = false; say(tile, "Waiting", CANCEL, "Cancel"); }
  uppy.retryUpload(id);
}
function begin(file) {
  sum.all += 1;
  if (tiles.size < MOST_FRESH) { const tile = tileFor(file); tiles.set(file.id, tile); front(tile); }
  total();
}
uppy.on("file-added", begin);
uppy.on("upload-progress", (file, { bytesUploaded, bytesTotal }) => {
  const tile = tiles.get(file?.id);
  if (tile) { $("progress", tile).value = bytesTotal ? bytesUploaded / bytesTotal : 0; $("[data-word]", tile).textContent = "Uploading"; }
  total();
});
uppy.on("upload-success", (file, { body: told }) => {
  sum.sent += 1;
  const key = told?.key ?? "";
  const tile = tiles.get(file.id);
  tiles.delete(file.id);
  uppy.removeFile(file.id);
  if (tile && key) {
    // The event of a small image may have come already, before S3's answer did.
    const other = $$(selector(key)).find((it) => it.closest("#fresh")) ?? newcomer(key);
    if (other) tile.replaceWith(other);
    else {
      tile.classList.replace("sending", "in_flight");
      tile.dataset.key = written(key);
      $("progress", tile).remove();
      $(".act", tile).remove();
      $(".note", tile).innerHTML = '<b class="ring"></b><span>Queued</span>';
    }
  }
  total();
});
uppy.on("upload-error", (file, error) => {
  const tile = tiles.get(file?.id);
  if (tile) {
    tile.dataset.failed = "1";
    tile.classList.add("failed");
    $("progress", tile).hidden = true;
    say(tile, reason(file, error), AGAIN, `Try ${file.name} again`);
  } else toast(`${file?.name}: ${reason(file, error)}`);
  total();
});
const reason = (file, error) => (/network/i.test(error?.message) ? "S3 could not be reached" : /\b40\d\b|AccessDenied|EntityTooLarge/.test(error?.message) ? "S3 refused it; the leave to upload may have run out" : error?.message || "It was not taken");
uppy.on("file-removed", (file) => {
  const tile = tiles.get(file.id);
  if (tile) { tiles.delete(file.id); tile.remove(); sum.all -= 1; }
  total();
});

// The line above them.
const sum = { all: 0, sent: 0 };
let drawn = 0;
function total() {
  drawn ||= requestAnimationFrame(() => {
    drawn = 0;
    const files = uppy.getFiles();
    const failed = files.filter((it) => it.error).length, left = files.length - failed;
    const done = $$("#fresh-tiles .done").length, bad = $$("#fresh-tiles .rejected, #fresh-tiles .tile.failed:not(.sending)").length;
    const parts = [left && `${left.toLocaleString()} of ${sum.all.toLocaleString()} to upload`, failed && `${failed} not sent`, !left && done && `${done} done`, !left && bad && `${bad} not made`];
    $("#fresh-sum").textContent = parts.filter(Boolean).join(" · ");
    const bar = $("#fresh-bar");
    bar.hidden = !left;
    bar.max = Math.max(sum.all, 1);
    bar.value = sum.all - left;
    $("#cancel-all").hidden = !left;
    $("#retry-all").hidden = !failed;
    $("#fresh-clear").hidden = Boolean(left);
    if (!files.length) sum.all = sum.sent = 0;
    if (!$("#fresh-tiles").childElementCount) $("#fresh").hidden = true;
  });
}
new MutationObserver(total).observe($("#fresh-tiles"), { childList: true });
$("#cancel-all").addEventListener("click", () => uppy.cancelAll());
$("#retry-all").addEventListener("click", () => uppy.getFiles().filter((it) => it.error).forEach((it) => again(it.id)));

// Choosing and dropping.
const most = Number(body.dataset.most || Infinity);
async function add(files) {
  const fits = [];
  for (const file of files) {
    const path = file.webkitRelativePath || file.path?.replace(/^\//, "") || file.name;
    if (/(^|\/)\./.test(path)) continue;
    if (file.size > most) toast(`${path} is larger than the pipeline takes.`);
    else if (file.size === 0) toast(`${path} is empty.`);
    else fits.push({ name: file.name, type: file.type, data: file, source: "browser", meta: { relativePath: path } });
  }
  const chosen = await apart(fits);
  try { uppy.addFiles(chosen); } catch (error) { toast(error.message); }
}
// A name that is there already is asked about, once for all: S3 would put the new file in the place of the old one.
const ASKED = 500;
async function apart(files) {
  const free = {}, path = (it) => it.meta.relativePath;
  for (let at = 0; at < files.length; at += ASKED) {
    const names = files.slice(at, at + ASKED).map(path);
    Object.assign(free, await post("/uploads/known", { names }).then((it) => it.json()).catch(() => ({})));
  }
  const there = files.filter((it) => path(it) in free);
  if (!there.length) return files;
  const box = $("#taken"), one = there.length === 1;
  $("h2", box).textContent = one ? "It is there already" : `${there.length.toLocaleString()} are there already`;
  $("ul", box).replaceChildren(...there.slice(0, 5).map((it) => Object.assign(document.createElement("li"), { textContent: path(it) })), ...(there.length > 5 ? [Object.assign(document.createElement("li"), { textContent: "…" })] : []));
  box.returnValue = "";
  box.showModal();
  await new Promise((done) => box.addEventListener("close", done, { once: true }));
  if (box.returnValue === "replace") return files;
  if (box.returnValue === "skip") return files.filter((it) => !there.includes(it));
  if (box.returnValue !== "both") return [];
  for (const it of there) if (free[path(it)]) { it.meta.relativePath = free[path(it)]; it.name = path(it).split("/").pop(); }
  return files.filter((it) => !there.includes(it) || !(path(it) in free));
}
for (const id of ["files", "folder"]) $(`#${id}`).addEventListener("change", ({ target }) => { add([...target.files]); target.value = ""; });
$("#choose").addEventListener("click", () => $("#files").click());
$("[data-choose]").addEventListener("click", () => $("#files").click());
$("#choose-folder").addEventListener("click", () => $("#folder").click());

let depth = 0;
const isFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
addEventListener("dragenter", (event) => { if (isFiles(event)) { depth += 1; $("#drop").hidden = false; } });
addEventListener("dragleave", (event) => { if (isFiles(event) && (depth -= 1) <= 0) { depth = 0; $("#drop").hidden = true; } });
addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
addEventListener("drop", async (event) => {
  if (!isFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("#drop").hidden = true;
  add(await dropped(event.dataTransfer));
});
// Entries must be taken before the event is over; folders are read afterwards.
async function dropped(transfer) {
  const entries = [...transfer.items].map((it) => it.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((done, fail) => entry.file(done, fail));
      file.path = entry.fullPath;
      found.push(file);
    } else {
      const reader = entry.createReader();
      for (let some; (some = await new Promise((done, fail) => reader.readEntries(done, fail))).length;) for (const it of some) await walk(it);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}
