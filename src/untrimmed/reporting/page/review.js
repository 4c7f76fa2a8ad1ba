/** The page as `untrimmed review` serves it: what is found is corrected here. */

import { showClusters } from "./clusters.js";
import { playCopy } from "./copies.js";
import { data } from "./data.js";
import { make } from "./dom.js";
import { Editor } from "./edit.js";
import { editing } from "./editing.js";
import { groups } from "./groups.js";
import { linkTo } from "./hash.js";
import { keepAtServer, keeper, loadClusters } from "./keepatserver.js";
import { listenToKeys, makeKeyHelp } from "./keys.js";
import { drawAgain, openMoment, openOnly, orderBy, showList } from "./list.js";
import { marks } from "./marks.js";
import { left, nextAfter, worthOf } from "./queue.js";
import { countTeachable, makeChanges, makeTeaching } from "./teach.js";

/** @typedef {import("./viewer.js").Viewer} Viewer */

/** @type {Map<Viewer, Editor>} */
const editors = new Map();
/** @type {Editor | null} the one that keys are for */
let current = null;

const videoOf = new Map(data.videos.map((video) => [video.id, video]));
const state = make("span", { class: "said", role: "status" });
const nextButton = make("button", { type: "button", onclick: next });

editing.on = {
  segments: (video) => marks.segments(video.id, "annotations"),
  tally: tallyOf,
  worth: (video) => worthOf(video.id),
  tools(viewer) {
    const editor = new Editor(viewer);
    editors.set(viewer, editor);
    current = editor;
    for (const kind of ["pointerdown", "focusin"]) {
      viewer.root.addEventListener(kind, () => {
        current = editor;
      });
    }
    return editor.root;
  },
  lane: (timeline) => editorOf(timeline.video.id)?.lane(timeline) ?? null,
  judge: (viewer, detection) => editors.get(viewer)?.judge(detection) ?? [],
  verdict: (video, detection) => marks.verdict(video.id, detection),
  moved: (viewer) => editors.get(viewer)?.follow(),
  copy: playCopy,
  closed(viewer) {
    if (current === editors.get(viewer)) current = null;
    editors.delete(viewer);
  },
};

marks.changed = (id) => {
  const video = videoOf.get(id);
  if (video) drawAgain(video);
  marks.told(id);
};

// Not drawn again: what is under the pointer must not be replaced because an answer comes in.
marks.told = (id) => {
  editorOf(id)?.show();
  showState();
};

/** @param {string} id */
function editorOf(id) {
  for (const editor of editors.values()) if (editor.id === id) return editor;
  return null;
}

/** @param {import("./data.js").Video} video */
function tallyOf({ id }) {
  const { annotations, points, rejected, checked } = marks.of(id);
  const count = annotations.length + points.length + rejected.length;
  return [checked ? "✓ checked" : "", count ? `${count} marked` : ""].filter(Boolean).join(", ");
}

function showState() {
  const waiting = left().length;
  const checked = data.videos.length - waiting;
  const where = marks.unsaved || keeper.sending ? "saving …" : `saved to ${data.review?.annotations}`;
  const trouble = marks.trouble || keeper.trouble;
  const look = nextAfter(current?.id ?? null);
  const reason = look ? ` (the next for ${look.why})` : "";
  const counts = `${checked} of ${data.videos.length} videos checked, ${waiting} left to look at${reason}`;
  state.textContent = `${counts} · ${trouble ? `NOT SAVED: ${trouble}` : where}`;
  state.classList.toggle("trouble-text", trouble !== "");
  nextButton.disabled = !look;
  nextButton.textContent = look ? `Next: ${look.video}` : "Nothing is left";
  nextButton.title = look ? "the next video worth a look (key Q)" : "";
  countTeachable();
}

function next() {
  const look = nextAfter(current?.id ?? null);
  const video = look && videoOf.get(look.video);
  if (!video) return;
  openOnly(video);
  history.replaceState(null, "", linkTo(video, 0));
  showState();
}

/** Undo the last change, whether of marks or of clusters. */
function undo() {
  const [mark, group] = [marks.done.at(-1)?.place ?? 0, groups.done.at(-1)?.place ?? 0];
  if (group > mark) groups.undo();
  else showChange(marks.undo());
}

function redo() {
  const [mark, group] = [marks.undone, groups.undone].map((undone) => undone.at(-1)?.place ?? Number.POSITIVE_INFINITY);
  if (group < mark) groups.redo();
  else showChange(marks.redo());
}

/** @param {import("./marks.js").Change | null} change */
function showChange(change) {
  const video = change && videoOf.get(change.id);
  if (video && !editorOf(video.id)) openOnly(video);
}

function makeBar() {
  const back = make("button", { type: "button", title: "key U", onclick: undo }, "Undo");
  const again = make("button", { type: "button", title: "key Y", onclick: redo }, "Redo");
  const row = make("div", { class: "bar-row" }, nextButton, back, again, makeTeaching(), makeKeyHelp());
  return make("section", { class: "review", id: "review", "aria-label": "Review" }, makeChanges(), row, state);
}

async function begin() {
  document.querySelector("main")?.append(makeBar());
  showList();
  showClusters({ save: false });
  keeper.told = showState;
  await marks.load();
  if (data.clusters.length) keepAtServer();
  orderBy("look");
  if (!openMoment()) next();
  showState();
  document.documentElement.dataset.ready = "true";
}

window.addEventListener("hashchange", openMoment);
/** Take over what other tabs have saved. */
function loadAgain() {
  marks.load();
  if (data.clusters.length) loadClusters();
}

window.addEventListener("focus", loadAgain);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) loadAgain();
});
window.addEventListener("beforeunload", (event) => {
  if (marks.unsaved || keeper.pending.length) event.preventDefault();
});
listenToKeys(() => current, { undo, redo, next });
begin();
