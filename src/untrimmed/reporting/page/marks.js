/** What is marked in each video: kept here, saved at once, undone and redone, and laid over what other tabs have saved. */

import { placeOf, tiou } from "./data.js";
import { nextPlace } from "./order.js";
import { ask } from "./server.js";

/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */

/** @typedef {{segment: [number, number], label: string}} MarkedSegment */
/** @typedef {{time: number, label: string}} MarkedPoint */

/**
 * A video's marks, as the file has them.
 *
 * @typedef {object} Entry
 * @property {MarkedSegment[]} annotations
 * @property {MarkedPoint[]} points
 * @property {MarkedSegment[]} rejected
 * @property {boolean} checked
 * @property {string} note
 * @property {number} revision
 * @property {string} [who]
 * @property {string} [when]
 */

/** @typedef {"annotations" | "points" | "rejected"} Kind */
/** @typedef {{id: string, before: Entry, after: Entry, what: string, place: number}} Change */

/** @type {Kind[]} */
const KINDS = ["annotations", "points", "rejected"];

/** How much a mark must overlap a detection to be about it. */
const ABOUT_TIOU = 0.5;

/** Seconds after which what could not be saved is tried again. */
const AGAIN = 2;

/** @returns {Entry} */
function nothing() {
  return { annotations: [], points: [], rejected: [], checked: false, note: "", revision: 0 };
}

/**
 * What I have changed since `base`, laid over what others have made of it: nothing that either has marked is lost.
 *
 * @param {Entry} base
 * @param {Entry} mine
 * @param {Entry} theirs
 * @returns {Entry}
 */
export function laidOver(base, mine, theirs) {
  const joined = { ...theirs };
  for (const kind of KINDS) {
    const [was, is] = [new Set(base[kind].map(keyOf)), new Set(mine[kind].map(keyOf))];
    const kept = theirs[kind].filter((mark) => is.has(keyOf(mark)) || !was.has(keyOf(mark)));
    const there = new Set(kept.map(keyOf));
    const added = mine[kind].filter((mark) => !was.has(keyOf(mark)) && !there.has(keyOf(mark)));
    joined[kind] = /** @type {any} */ ([...kept, ...added]);
  }
  if (mine.checked !== base.checked) joined.checked = mine.checked;
  if (mine.note !== base.note) {
    const both = theirs.note !== base.note && theirs.note !== mine.note;
    joined.note = both ? `${theirs.note}\n${mine.note}` : mine.note;
  }
  return joined;
}

/** @param {MarkedSegment | MarkedPoint} mark */
export function keyOf(mark) {
  return JSON.stringify("time" in mark ? [mark.time, mark.label] : [...mark.segment, mark.label]);
}

class Marks {
  constructor() {
    /** @type {Map<string, Entry>} as they are here */
    this.here = new Map();
    /** @type {Map<string, Entry>} as the server has them */
    this.saved = new Map();
    /** @type {Set<string>} videos that are being saved */
    this.saving = new Set();
    /** @type {Change[]} */
    this.done = [];
    /** @type {Change[]} */
    this.undone = [];
    this.trouble = "";
    /** @type {(id: string) => void} called when a video's marks are others */
    this.changed = () => {};
    /** @type {(label: string) => void} called for the labels of what other tabs have marked */
    this.newLabel = () => {};
    /** @type {(id: string) => void} called when they are saved, or being saved, or cannot be */
    this.told = () => {};
  }

  /** @param {string} id */
  of(id) {
    return this.here.get(id) ?? nothing();
  }

  get unsaved() {
    return this.saving.size > 0 || this.trouble !== "";
  }

  /** Take over what other tabs have saved. */
  async load() {
    const { status, value } = await ask("GET", "api/marks").catch(() => ({ status: 0, value: null }));
    if (status !== 200) return;
    for (const [id, entry] of Object.entries(value)) {
      if (this.saving.has(id) || this.saved.get(id)?.revision === entry.revision) continue;
      this.saved.set(id, entry);
      this.here.set(id, entry);
      for (const { label } of KINDS.flatMap((kind) => entry[kind])) this.newLabel(label);
      this.changed(id);
    }
  }

  /**
   * Change a video's marks, so that it can be undone.
   *
   * @param {string} id
   * @param {string} what in a few words
   * @param {(entry: Entry) => void} edit
   */
  change(id, what, edit) {
    const before = this.of(id);
    const after = structuredClone(before);
    edit(after);
    this.done.push({ id, before, after, what, place: nextPlace() });
    this.undone = [];
    this.put(id, after, what);
  }

  /** Undo the last change, in whatever video; returns it. */
  undo() {
    const change = this.done.pop();
    if (!change) return null;
    this.undone.push(change);
    this.put(change.id, laidOver(change.after, change.before, this.of(change.id)), `undo: ${change.what}`);
    return change;
  }

  redo() {
    const change = this.undone.pop();
    if (!change) return null;
    this.done.push(change);
    this.put(change.id, laidOver(change.before, change.after, this.of(change.id)), `redo: ${change.what}`);
    return change;
  }

  /**
   * @param {string} id
   * @param {Entry} entry
   * @param {string} what
   */
  put(id, entry, what) {
    this.here.set(id, entry);
    this.changed(id);
    if (!this.saving.has(id)) this.save(id, what);
  }

  /**
   * Save what is here until it is what the server has.
   *
   * @param {string} id
   * @param {string} what
   */
  async save(id, what) {
    this.saving.add(id);
    this.told(id);
    for (;;) {
      const [base, sent] = [this.saved.get(id) ?? nothing(), this.of(id)];
      const body = { video: id, revision: base.revision, marks: sent, what };
      const answer = await ask("POST", "api/marks", body).catch(() => ({ status: 0, value: null, text: "" }));
      if (answer.status === 200) {
        const { stale, entry } = answer.value;
        this.trouble = "";
        this.saved.set(id, entry);
        const current = this.of(id);
        if (!stale && current === sent) {
          this.here.set(id, entry);
          break;
        }
        this.here.set(id, laidOver(stale ? base : sent, current, entry));
        this.changed(id);
        continue;
      }
      this.trouble = answer.status === 0 ? "the server does not answer" : answer.text;
      this.told(id);
      if (answer.status === 400 || answer.status === 413) break; // it will not be taken later either
      await new Promise((resume) => setTimeout(resume, 1000 * AGAIN));
    }
    this.saving.delete(id);
    this.told(id);
  }

  /**
   * The marks of a kind as segments of the page: a point has no length, and a label that is not known here becomes a class.
   *
   * @param {string} id
   * @param {Kind} kind
   * @returns {Segment[]}
   */
  segments(id, kind) {
    const found = this.of(id)[kind].map((mark) => {
      const [start, end] = "time" in mark ? [mark.time, mark.time] : mark.segment;
      return { start, end, label: placeOf(mark.label) };
    });
    return found.sort((a, b) => a.start - b.start);
  }

  /**
   * The marks of a kind that are about a detection.
   *
   * @param {string} id
   * @param {Kind} kind
   * @param {Detection} detection
   */
  about(id, kind, detection) {
    return this.segments(id, kind).filter(
      (mark) => mark.label === detection.label && tiou(mark, detection) >= ABOUT_TIOU,
    );
  }

  /**
   * What the marks say of a detection.
   *
   * @param {string} id
   * @param {Detection} detection
   */
  verdict(id, detection) {
    if (this.about(id, "annotations", detection).length) return "accepted";
    return this.about(id, "rejected", detection).length ? "rejected" : "";
  }
}

export const marks = new Marks();
