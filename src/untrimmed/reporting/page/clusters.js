/** The clusters of an unlabelled run: what is typical of each, and what a person makes of them. */

import { GroupCard } from "./card.js";
import { data } from "./data.js";
import { buttonOf, byId, make, saveFile } from "./dom.js";
import { csv, grouped, many } from "./format.js";
import { groups } from "./groups.js";
import { watchPreviews } from "./previews.js";

/** @type {Map<string, GroupCard>} */
const cards = new Map();
const given = make("datalist", { id: "given" });
let unsaved = false;

/** @param {{save: boolean}} how whether closing the page loses what was made of them, but for the files that can be saved */
export function showClusters({ save }) {
  if (!data.clusters.length) return;
  byId("clusters").append(given);
  groups.changed = () => {
    unsaved = save;
    drawClusters();
  };
  drawClusters();
  buttonOf("save-names").addEventListener("click", () => {
    saveFile("names.csv", csv([["cluster", "name"], ...namesOfFound()]));
    unsaved = false;
  });
  buttonOf("save-labels").addEventListener("click", () => {
    const rows = labelled().map(({ video, label }) => [video, label]);
    saveFile("labels.csv", csv([["video", "label"], ...rows]));
    unsaved = false;
  });
  byId("cluster-list").addEventListener("input", () => {
    unsaved = save;
    sayHowMany();
  });
  byId("cluster-list").addEventListener("keydown", pressed);
  buttonOf("undo-clusters").addEventListener("click", () => groups.undo());
  buttonOf("redo-clusters").addEventListener("click", () => groups.redo());
  if (save) {
    document.addEventListener("keydown", pressedAnywhere);
    window.addEventListener("beforeunload", (event) => {
      if (unsaved) event.preventDefault();
    });
  }
  watchPreviews();
}

function drawClusters() {
  const { ids } = groups;
  for (const [id, card] of cards) {
    if (ids.includes(id)) continue;
    card.close();
    cards.delete(id);
  }
  const list = byId("cluster-list");
  ids.forEach((id, place) => {
    const card = cards.get(id) ?? new GroupCard(id);
    cards.set(id, card);
    // Moving an element stops its videos: only a new one is put into its place.
    if (list.children[place] !== card.root) list.insertBefore(card.root, list.children[place] ?? null);
    card.draw();
  });
  const names = [...new Set(ids.map((id) => groups.of(id).name))].filter(Boolean);
  given.replaceChildren(...names.map((value) => make("option", { value })));
  sayHowMany();
}

/**
 * The name that a cluster has, or is just being given.
 *
 * @param {string} id
 */
function nameOf(id) {
  return cards.get(id)?.name ?? groups.of(id).name;
}

/** The training videos whose cluster has a name, and the label that it gives them: "" for surely no action. */
function labelled() {
  const rows = groups.held
    .filter(([, id]) => nameOf(id) !== "" && !groups.of(id).rejected)
    .map(([video, id]) => ({ video, label: data.noAction.includes(nameOf(id).toLowerCase()) ? "" : nameOf(id) }));
  if (!data.several) return rows;
  // Of a video that holds several: each label once, and "surely nothing" only if that is all.
  const acting = new Set(rows.filter(({ label }) => label).map(({ video }) => video));
  const seen = new Set();
  return rows.filter((row) => {
    const key = JSON.stringify([row.video, row.label]);
    const wanted = !seen.has(key) && (row.label !== "" || !acting.has(row.video));
    seen.add(key);
    return wanted;
  });
}

/** The clusters that the run knows with their names; a merged one has the name of the one that it was merged into. */
function namesOfFound() {
  return data.clusters.map(({ label }) => {
    const id = data.classes[label];
    const own = [...groups.found].filter(([, found]) => found === id).map(([video]) => groups.videos.get(video) ?? id);
    const now = !own.length || own.includes(id) ? id : mostOf(own);
    return [id, groups.of(now).rejected ? "" : nameOf(now)];
  });
}

/** @param {string[]} ids */
function mostOf(ids) {
  const counts = new Map(ids.map((id) => [id, 0]));
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most))[0];
}

function sayHowMany() {
  const { ids } = groups;
  const rejected = ids.filter((id) => groups.of(id).rejected).length;
  const named = ids.filter((id) => nameOf(id) !== "" && !groups.of(id).rejected).length;
  const rows = labelled();
  const labels = new Set(rows.map(({ label }) => label).filter(Boolean)).size;
  const videos = `${grouped(rows.length)} of ${many(groups.videos.size, "training video")}`;
  const without = rejected ? `, ${rejected} rejected` : "";
  byId("named").textContent =
    `${named} of ${many(ids.length, "group")} named${without}: ${many(labels, "label")} for ${videos}`;
  buttonOf("undo-clusters").disabled = !groups.done.length;
  buttonOf("redo-clusters").disabled = !groups.undone.length;
  buttonOf("save-names").disabled = named === 0;
  buttonOf("save-labels").disabled = rows.length === 0;
}

/** @param {EventTarget | null} target */
function isText(target) {
  return target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "checkbox");
}

/**
 * Keys for the cluster that is in focus.
 *
 * @param {KeyboardEvent} event
 */
function pressed(event) {
  const { target, key } = event;
  if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return;
  const ordered = [...byId("cluster-list").children].map((root) =>
    [...cards.values()].find((card) => card.root === root),
  );
  const place = ordered.findIndex((one) => one?.root.contains(target));
  const card = ordered[place];
  if (!card || (isText(target) && key !== "Escape")) return;
  /** @type {{[key: string]: () => void}} */
  const actions = {
    ArrowDown: () => ordered[place + 1]?.focus(),
    ArrowUp: () => ordered[place - 1]?.focus(),
    Escape: () => card.focus(),
    r: () => card.field.focus(),
    m: () => card.into.focus(),
    s: () => void (data.several || card.split()),
    x: () => groups.reject(card.id),
    v: () => card.openMembers(),
    t: () => card.moveTo?.focus(),
  };
  if (key.length === 1 && !" uyq".includes(key)) event.stopPropagation(); // letters that mean something else for a video
  if (!Object.hasOwn(actions, key)) return;
  actions[key]();
  event.preventDefault();
}

/**
 * Undo and redo on a page without a review's keys.
 *
 * @param {KeyboardEvent} event
 */
function pressedAnywhere(event) {
  if (isText(event.target) || event.altKey) return;
  const key = event.key.toLowerCase();
  const control = event.ctrlKey || event.metaKey;
  if ((control && key === "y") || (control && key === "z" && event.shiftKey) || (!control && key === "y"))
    groups.redo();
  else if ((control && key === "z") || (!control && key === "u")) groups.undo();
  else return;
  event.preventDefault();
}
