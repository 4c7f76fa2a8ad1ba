/** The list of videos: which are shown, in which order, and the tools to choose. */

import { data, RIGHT_TIOU } from "./data.js";
import { byId, make } from "./dom.js";
import { editing } from "./editing.js";
import { grouped, many, scoreText } from "./format.js";
import { momentOfAddress } from "./hash.js";
import { Row } from "./row.js";
import { countSummary, makeSummary } from "./summary.js";
import { moveSlider, SLIDER_STEPS, view } from "./view.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */

const rows = data.videos.map((video) => new Row(video));
const rowOf = new Map(rows.map((row) => [row.video, row]));
const names = new Intl.Collator("en", { numeric: true });

/**
 * What each order goes by, the highest first; by name where that is equal.
 *
 * @type {{[order: string]: {words: string, value: (row: Row) => number}}}
 */
const orders = {
  name: { words: "name", value: () => 0 },
  score: { words: "surest detection", value: (row) => row.shown[0]?.score ?? Number.NEGATIVE_INFINITY },
  count: { words: "most detections", value: (row) => row.shown.length },
  length: { words: "longest", value: (row) => row.video.duration },
};
if (data.runs) orders.different = { words: `most unlike ${data.runs.beside}`, value: (row) => row.different() };
if (data.hasTruth) orders.missed = { words: "most true segments missed", value: (row) => row.missed() };

if (data.review) orders.look = { words: "most worth a look", value: (row) => editing.on?.worth(row.video) ?? 0 };

export function showList() {
  byId("tools").append(...makeTools());
  makeSummary((label) => chooseClass(view.label === label ? null : label));
  arrange();
  const rowOfRoot = new Map(rows.map((row) => [/** @type {Element} */ (row.root), row]));
  const watch = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) rowOfRoot.get(target)?.comeNear(isIntersecting);
    },
    { rootMargin: "300px" },
  );
  for (const row of rows) watch.observe(row.root);
}

/** Open the first video in which something is shown. */
export function openFirst() {
  (rows.find((row) => row.shown.length) ?? rows[0])?.toggle(true);
}

/** Open the video that the address leads to, and stand at its moment; says whether it leads to one. */
export function openMoment() {
  const moment = momentOfAddress();
  const row = moment && rowOf.get(moment.video);
  if (!row) return false;
  row.root.hidden = false;
  row.toggle(true);
  row.viewer?.player.standAt(moment.seconds);
  row.root.scrollIntoView({ block: "start" });
  return true;
}

/**
 * Open a video of the list, and play a segment of it.
 *
 * @param {Video} video
 * @param {Segment} segment
 */
export function showSegment(video, segment) {
  const row = rowOf.get(video);
  if (!row) return;
  row.root.hidden = false;
  row.toggle(true);
  row.root.scrollIntoView({ block: "center" });
  const { start, end, label } = segment;
  const detection = video.detections.find((d) => d.start === start && d.end === end && d.label === label);
  row.viewer?.playSegment(detection ?? segment);
  row.button.focus({ preventScroll: true });
}

/**
 * Open a video of the list, and no other.
 *
 * @param {Video} video
 * @returns {import("./viewer.js").Viewer | null}
 */
export function openOnly(video) {
  const row = rowOf.get(video);
  if (!row) return null;
  for (const other of rows) if (other !== row && other.viewer) other.toggle(false);
  row.root.hidden = false;
  row.toggle(true);
  row.root.scrollIntoView({ block: "start" });
  return row.viewer;
}

/**
 * Draw a video again, of which something else is known.
 *
 * @param {Video} video
 */
export function drawAgain(video) {
  rowOf.get(video)?.drawAgain();
}

/** @param {string} order */
export function orderBy(order) {
  view.order = order;
  const select = /** @type {HTMLSelectElement} */ (byId("sort"));
  select.value = order;
  arrange();
}

/** @type {(() => void)[]} */
const listeners = [];

/**
 * Call this whenever the tools let other videos or detections be seen.
 *
 * @param {() => void} listener
 */
export function whenShownChanges(listener) {
  listeners.push(listener);
}

/** Order the videos, and hide those that are not asked for. */
function arrange() {
  for (const row of rows) row.choose();
  const { value } = orders[view.order];
  const values = new Map(rows.map((row) => [row, value(row)]));
  rows.sort((a, b) => {
    const [first, second] = [values.get(a) ?? 0, values.get(b) ?? 0];
    return first === second ? names.compare(a.video.id, b.video.id) : first < second ? 1 : -1;
  });
  // Moving an element stops its video, so the list is only touched when the order is another.
  const list = byId("list");
  if (rows.some((row, i) => list.children[i] !== row.root)) list.append(...rows.map((row) => row.root));
  refresh();
}

/**
 * @param {Row} row
 * @param {string[]} words in lower case
 */
function isAsked(row, words) {
  if (view.label === null && view.right === null && !words.length) return true;
  const labels = row.labelsShown;
  if (view.label !== null && !labels.has(view.label)) return false;
  if (view.right !== null && !row.shown.length) return false;
  const classes = [...labels].map((label) => data.classes[label]);
  const text = `${row.video.id} ${classes.join(" ")}`.toLocaleLowerCase();
  return words.every((word) => text.includes(word));
}

function refresh() {
  const words = view.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  for (const row of rows) {
    row.choose();
    row.root.hidden = !isAsked(row, words);
    if (row.root.hidden) row.viewer?.player.pause();
    row.draw();
  }
  const visible = rows.filter((row) => !row.root.hidden);
  const shown = visible.reduce((sum, row) => sum + row.shown.length, 0);
  const all = many(rows.length, "video");
  const videos = visible.length === rows.length ? all : `${grouped(visible.length)} of ${all}`;
  const below = `${data.hasTruth ? "above each line the truth, " : ""}below it ${data.runs ? data.runs.shown : "what was found"}`;
  const legend =
    data.hasTruth || data.runs ? `; ${below}${data.runs ? `, at the bottom ${data.runs.beside}` : ""}` : "";
  const cut = visible.filter(({ video }) => video.more && (video.detections.at(-1)?.score ?? 0) >= view.least).length;
  const cap = cut
    ? `; of ${many(cut, "video")} only the ${data.mostDetections} surest detections are on this page`
    : "";
  byId("count").textContent = `${videos}, ${many(shown, "detection")} shown${legend}${cap}`;
  countSummary();
  for (const listener of listeners) listener();
}

/** @returns {HTMLElement[]} */
function makeTools() {
  const labels = [...new Set(rows.flatMap((row) => [...row.labels]))].sort((a, b) => a - b);
  const search = make("input", { id: "filter", type: "search", placeholder: "name or class", autocomplete: "off" });
  search.addEventListener("input", () => {
    view.text = search.value;
    arrange();
  });
  const classes = make(
    "select",
    { id: "class" },
    make("option", { value: "" }, "all classes"),
    ...labels.map((label) => make("option", { value: label }, data.classes[label])),
  );
  classes.addEventListener("change", () => {
    chooseClass(classes.value === "" ? null : Number(classes.value));
  });
  const options = Object.entries(orders).map(([order, { words }]) => make("option", { value: order }, words));
  const order = make("select", { id: "sort" }, ...options);
  order.addEventListener("change", () => orderBy(order.value));
  const tools = [
    make("label", { class: "grow" }, "Find a video or class", search),
    make("label", {}, "Class", classes),
    make("label", {}, "First", order),
    makeSlider(),
  ];
  if (data.hasTruth) tools.push(make("label", {}, "Detections", makeRightOrWrong()));
  if (data.hasVideos) {
    const loop = make("input", { id: "loop", type: "checkbox" });
    loop.addEventListener("change", () => {
      view.loop = loop.checked;
    });
    tools.push(make("label", { class: "tick" }, loop, "loop"));
  }
  return tools;
}

/** @param {number | null} label */
function chooseClass(label) {
  view.label = label;
  const select = /** @type {HTMLSelectElement} */ (byId("class"));
  select.value = label === null ? "" : String(label);
  arrange();
}

function makeRightOrWrong() {
  const words = `right: overlaps a true segment of its class by tIoU ${RIGHT_TIOU}, which no surer one has taken`;
  const select = make(
    "select",
    { id: "right", title: words },
    make("option", { value: "" }, "right and wrong"),
    make("option", { value: "right" }, "right ones"),
    make("option", { value: "wrong" }, "wrong ones"),
  );
  select.addEventListener("change", () => {
    view.right = select.value === "" ? null : select.value === "right";
    arrange();
  });
  return select;
}

function makeSlider() {
  const output = make("output", { for: "slider" });
  const slider = make("input", { id: "slider", type: "range", min: 0, max: SLIDER_STEPS, step: 1, value: view.slider });
  const say = () => {
    const all = view.least === Number.NEGATIVE_INFINITY;
    output.textContent = all ? "all" : `≥ ${scoreText(view.least)}`;
    slider.setAttribute("aria-valuetext", all ? "all detections" : `score at least ${scoreText(view.least)}`);
  };
  slider.addEventListener("input", () => {
    moveSlider(Number(slider.value));
    say();
    refresh();
  });
  say();
  return make("label", { class: "slide" }, make("span", {}, "Score ", output), slider);
}
