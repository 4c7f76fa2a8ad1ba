/** What a person does to the marks of an open video: the tools, and everything that they change. */

import { data, placeOf } from "./data.js";
import { make } from "./dom.js";
import { clock } from "./format.js";
import { KIND_NAMES, MarksLane, SHORTEST_MARK } from "./lane.js";
import { keyOf, marks } from "./marks.js";
import { ask } from "./server.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */
/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./marks.js").Kind} Kind */
/** @typedef {import("./marks.js").Entry} Entry */
/** @typedef {import("./marks.js").MarkedSegment} MarkedSegment */

/** @param {number} seconds */
function rounded(seconds) {
  return Math.round(seconds * 1000) / 1000;
}

/**
 * @param {Segment} segment
 * @returns {MarkedSegment}
 */
function markOf({ start, end, label }) {
  return { segment: [rounded(start), rounded(end)], label: data.classes[label] };
}

/** What becomes of a class that the run does not know. */
const NEW_CLASS_MEANS =
  "a new class; a student learns it from what is marked alone, and takes it that videos without such a mark do not show it";

/** @param {string} label that marks may have from now on */
function learnLabel(label) {
  placeOf(label);
  if (data.review && !data.review.labels.includes(label)) data.review.labels.push(label);
}

marks.newLabel = learnLabel;

export class Editor {
  /** @param {Viewer} viewer */
  constructor(viewer) {
    this.viewer = viewer;
    this.video = viewer.video;
    /** @type {{kind: Kind, key: string} | null} the mark that keys and buttons are about */
    this.chosen = null;
    /** @type {Detection | null} the detection that they are about */
    this.detection = null;
    /** @type {number | null} where a segment that is drawn by keys began */
    this.began = null;
    /** @type {number} of what is drawn */
    this.label = this.firstLabel();
    /** @type {Segment | null} what was played last */
    this.played = null;
    this.select = make("select", { "aria-label": "Class of what is marked" });
    this.select.addEventListener("change", () => this.relabelBySelect());
    this.newClass = this.makeNewClass();
    this.fillSelect();
    this.pointing = make("input", { type: "checkbox" });
    this.checked = make("input", { type: "checkbox", onchange: () => this.check(this.checked.checked) });
    this.note = make("textarea", {
      rows: 1,
      maxlength: 10_000,
      placeholder: "a note about this video",
      "aria-label": "Note about this video",
      onchange: () => this.write(this.note.value),
    });
    this.note.addEventListener("keydown", ({ key }) => {
      if (key === "Escape") this.note.blur();
    });
    this.about = make("p", { class: "about-mark", role: "status" });
    this.root = this.makeTools();
    this.show();
  }

  get id() {
    return this.video.id;
  }

  get at() {
    return rounded(Math.min(Math.max(this.viewer.player.at, 0), this.video.duration));
  }

  /** The class of the surest detection. */
  firstLabel() {
    const allowed = (data.review?.labels ?? []).map((label) => data.classes.indexOf(label));
    const first = this.video.detections.find(({ label }) => allowed.includes(label));
    return first?.label ?? allowed[0];
  }

  /** The classes: those of the run, those that were added, and a way to add one. */
  fillSelect() {
    const options = (data.review?.labels ?? []).map((label, i) =>
      make("option", { value: data.classes.indexOf(label) }, i < 9 ? `${i + 1}  ${label}` : label),
    );
    this.select.replaceChildren(...options, make("option", { value: "new" }, "0  a new class …"));
    this.select.value = String(this.label);
  }

  relabelBySelect() {
    if (this.select.value === "new") this.askForClass();
    else this.relabel(Number(this.select.value));
  }

  makeNewClass() {
    const field = make("input", {
      type: "text",
      hidden: true,
      maxlength: 200,
      autocomplete: "off",
      placeholder: "its name, then Enter",
      "aria-label": "Name of the new class",
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.addClass(field.value);
      else if (event.key === "Escape") this.hideNewClass();
    });
    return field;
  }

  askForClass() {
    this.newClass.hidden = false;
    this.newClass.focus();
  }

  hideNewClass() {
    this.newClass.hidden = true;
    this.newClass.value = "";
    this.select.value = String(this.label);
    this.select.focus();
  }

  /**
   * Add a class that the run does not know; what is chosen gets it.
   *
   * @param {string} name
   */
  async addClass(name) {
    const gone = () => ({ status: 0, value: null, text: "the server does not answer" });
    const { status, value, text } = await ask("POST", "api/labels", { label: name }).catch(gone);
    if (status !== 200) {
      this.about.textContent = text;
      return;
    }
    learnLabel(value.label);
    this.fillSelect();
    this.relabel(placeOf(value.label));
    this.hideNewClass();
  }

  makeTools() {
    return make(
      "div",
      { class: "edit", role: "group", "aria-label": `Marks in ${this.id}` },
      make("label", { class: "of-class" }, "class ", this.select),
      this.newClass,
      this.makeButton("accept", "A", "Accept the detection", () => this.accept()),
      this.makeButton("reject", "X", "Reject the detection", () => this.reject()),
      this.makeButton("point", "P", "Mark one point, at the playhead", () => this.addPoint(this.at)),
      this.makeButton("start", "I", "A segment begins at the playhead", () => this.begin()),
      this.makeButton("end", "O", "It ends at the playhead", () => this.end()),
      this.makeButton("split", "S", "Split the segment at the playhead", () => this.split()),
      this.makeButton("merge", "M", "Merge the segment with the next one of its class", () => this.merge()),
      this.makeButton("delete", "Del", "Delete the mark", () => this.remove()),
      this.makeButton("‹ frame", ",", "One frame back", () => this.stepFrame(-1)),
      this.makeButton("frame ›", ".", "One frame on", () => this.stepFrame(1)),
      this.makeButton("none of it", "E", "Nothing happens in this video: it is empty, and checked", () => this.empty()),
      make("label", { class: "tick" }, this.pointing, "a click sets a point"),
      make("label", { class: "tick" }, this.checked, "checked: nothing is missing (C)"),
      this.note,
      this.about,
    );
  }

  /**
   * @param {string} text
   * @param {string} key
   * @param {string} words
   * @param {() => void} act
   */
  makeButton(text, key, words, act) {
    return make("button", { type: "button", title: words, onclick: act }, text, make("kbd", {}, key));
  }

  /** Show what is marked and chosen in the tools. */
  show() {
    const { checked, note, who, when } = marks.of(this.id);
    this.checked.checked = checked;
    if (document.activeElement !== this.note) this.note.value = note;
    if (this.select.options.length !== (data.review?.labels.length ?? 0) + 1) this.fillSelect();
    this.select.value = String(this.label);
    const segment = this.chosenSegment();
    const by = who && when ? `last change by ${who}, ${when.slice(0, 16).replace("T", " ")} UTC` : "";
    const words = [by];
    if (segment && this.chosen) {
      words.unshift(
        `${KIND_NAMES[this.chosen.kind]} ${this.words(segment)} is chosen; [ and ] set its edges to the playhead`,
      );
    } else if (this.detection) words.unshift(`the detection ${this.words(this.detection)} is chosen`);
    const label = data.classes[segment?.label ?? this.label];
    if (label !== undefined && !data.review?.known.includes(label)) words.unshift(`${label}: ${NEW_CLASS_MEANS}`);
    if (this.began !== null) words.unshift(`a segment begins at ${clock(this.began, 2)}; O ends it`);
    this.about.textContent = words.filter(Boolean).join(" · ");
  }

  /** @param {Segment} segment */
  words({ start, end, label }) {
    const times = start === end ? clock(start, 2) : `${clock(start, 2)} to ${clock(end, 2)}`;
    return `${data.classes[label]}, ${times}`;
  }

  /** @returns {Segment | null} */
  chosenSegment() {
    const { chosen } = this;
    if (!chosen) return null;
    return (
      marks.segments(this.id, chosen.kind).find((segment) => this.keyOf(chosen.kind, segment) === chosen.key) ?? null
    );
  }

  /**
   * @param {Kind} kind
   * @param {Segment} segment
   */
  keyOf(kind, segment) {
    return keyOf(kind === "points" ? { time: segment.start, label: data.classes[segment.label] } : markOf(segment));
  }

  /**
   * @param {Kind | null} kind
   * @param {Segment} [segment]
   */
  choose(kind, segment) {
    this.chosen = kind && segment ? { kind, key: this.keyOf(kind, segment) } : null;
    this.detection = null;
    if (segment) this.label = segment.label;
    this.show();
    this.viewer.timeline.redraw();
  }

  /** @param {Detection} detection */
  chooseDetection(detection) {
    this.detection = detection;
    this.chosen = null;
    if (data.review?.labels.includes(data.classes[detection.label])) this.label = detection.label;
    this.show();
  }

  /** A detection that is played is the one that keys are about. */
  follow() {
    const { last } = this.viewer.player;
    if (last === this.played) return;
    this.played = last;
    const detection = this.viewer.shown.find((shown) => shown === last);
    if (detection && detection !== this.detection) this.chooseDetection(detection);
  }

  /**
   * @param {string} what
   * @param {(entry: Entry) => void} edit
   */
  change(what, edit) {
    marks.change(this.id, what, edit);
  }

  /**
   * Take a mark out of an entry.
   *
   * @param {Entry} entry
   * @param {Kind} kind
   * @param {string} key
   */
  drop(entry, kind, key) {
    entry[kind] = /** @type {any} */ (entry[kind].filter((mark) => keyOf(mark) !== key));
  }

  // Detections.

  accept(detection = this.detection) {
    if (!detection) return;
    const had = marks.verdict(this.id, detection) === "accepted";
    const what = `${had ? "no longer accepted" : "accepted"} ${this.words(detection)}`;
    this.change(what, (entry) => {
      this.forget(entry, detection, had);
      if (!had) entry.annotations.push(markOf(detection));
    });
  }

  reject(detection = this.detection) {
    if (!detection) return;
    const had = marks.verdict(this.id, detection) === "rejected";
    const what = `${had ? "no longer rejected" : "rejected"} ${this.words(detection)}`;
    this.change(what, (entry) => {
      this.forget(entry, detection, true);
      if (!had) entry.rejected.push(markOf(detection));
    });
  }

  /**
   * Take out what says the opposite of a detection, or what is about it at all.
   *
   * @param {Entry} entry
   * @param {Detection} detection
   * @param {boolean} acceptedToo
   */
  forget(entry, detection, acceptedToo) {
    for (const kind of /** @type {Kind[]} */ (acceptedToo ? ["annotations", "rejected"] : ["rejected"])) {
      for (const mark of marks.about(this.id, kind, detection)) this.drop(entry, kind, this.keyOf(kind, mark));
    }
  }

  /**
   * Go to the next detection in order of time, or the one before, and play it.
   *
   * @param {1 | -1} step
   */
  walk(step) {
    const ordered = [...this.viewer.shown].sort((a, b) => a.start - b.start || a.end - b.end);
    const here = this.detection;
    let next = here ? ordered[ordered.indexOf(here) + step] : undefined;
    if (!here)
      next =
        step > 0
          ? ordered.find(({ start }) => start >= this.at - SHORTEST_MARK)
          : ordered.filter(({ end }) => end <= this.at).at(-1);
    if (!next) return;
    this.chooseDetection(next);
    this.viewer.playSegment(next);
  }

  /** @param {1 | -1} way */
  stepFrame(way) {
    const { player } = this.viewer;
    const seconds = player.at + way / (data.review?.fps[this.id] || 25);
    player.pause();
    player.standAt(Math.min(Math.max(seconds, 0), this.video.duration));
  }

  // Segments and points.

  /**
   * @param {number} start
   * @param {number} end
   */
  addSegment(start, end) {
    const [from, to] = [Math.max(Math.min(start, end), 0), Math.min(Math.max(start, end), this.video.duration)];
    if (to - from < SHORTEST_MARK) return;
    const segment = { start: rounded(from), end: rounded(to), label: this.label };
    this.change(`drew ${this.words(segment)}`, (entry) => {
      entry.annotations.push(markOf(segment));
    });
    this.choose("annotations", segment);
  }

  /** @param {number} time */
  addPoint(time) {
    const segment = { start: rounded(time), end: rounded(time), label: this.label };
    const key = this.keyOf("points", segment);
    if (marks.of(this.id).points.some((point) => keyOf(point) === key)) return;
    this.change(`marked a point: ${this.words(segment)}`, (entry) => {
      entry.points.push({ time: segment.start, label: data.classes[segment.label] });
    });
    this.choose("points", segment);
  }

  begin() {
    this.began = this.at;
    this.show();
  }

  end() {
    const { began } = this;
    this.began = null;
    if (began !== null) this.addSegment(began, this.at);
    this.show();
  }

  /**
   * Move an edge of the chosen segment.
   *
   * @param {"start" | "end"} edge
   * @param {number} time
   */
  moveEdge(edge, time) {
    const segment = this.chosenSegment();
    const { chosen } = this;
    if (!segment || !chosen || chosen.kind === "points") return;
    const moved = { ...segment, [edge]: rounded(Math.min(Math.max(time, 0), this.video.duration)) };
    if (moved.end - moved.start < SHORTEST_MARK || moved[edge] === segment[edge]) return;
    this.replace(chosen.kind, segment, moved, `moved an edge: ${this.words(segment)} is now ${this.words(moved)}`);
  }

  /**
   * @param {Kind} kind
   * @param {Segment} segment
   * @param {Segment} by
   * @param {string} what
   */
  replace(kind, segment, by, what) {
    const key = this.keyOf(kind, segment);
    this.change(what, (entry) => {
      this.drop(entry, kind, key);
      if (kind === "points") entry.points.push({ time: by.start, label: data.classes[by.label] });
      else entry[kind].push(markOf(by));
    });
    this.choose(kind, by);
  }

  /**
   * Give the chosen mark another class; a detection is accepted as of that class, and rejected as it was.
   *
   * @param {number} label
   */
  relabel(label) {
    if (!data.review?.labels.includes(data.classes[label])) return;
    const segment = this.chosenSegment();
    const { chosen, detection } = this;
    this.label = label;
    if (segment && chosen && segment.label !== label) {
      this.replace(chosen.kind, segment, { ...segment, label }, `${this.words(segment)} is ${data.classes[label]}`);
    } else if (detection && detection.label !== label) {
      this.change(`${this.words(detection)} is ${data.classes[label]}`, (entry) => {
        this.forget(entry, detection, true);
        entry.annotations.push(markOf({ ...detection, label }));
        entry.rejected.push(markOf(detection));
      });
    }
    this.show();
  }

  split() {
    const { at } = this;
    const holds = (/** @type {Segment} */ { start, end }) => start + SHORTEST_MARK < at && at < end - SHORTEST_MARK;
    const chosen = this.chosen?.kind === "annotations" ? this.chosenSegment() : null;
    const segment = chosen && holds(chosen) ? chosen : marks.segments(this.id, "annotations").find(holds);
    if (!segment) return;
    const key = this.keyOf("annotations", segment);
    this.change(`split ${this.words(segment)} at ${clock(at, 2)}`, (entry) => {
      this.drop(entry, "annotations", key);
      entry.annotations.push(markOf({ ...segment, end: at }), markOf({ ...segment, start: at }));
    });
    this.choose("annotations", { ...segment, start: at });
  }

  merge() {
    const segment = this.chosen?.kind === "annotations" ? this.chosenSegment() : null;
    const next = marks
      .segments(this.id, "annotations")
      .find((other) => segment && other.label === segment.label && other.start > segment.start);
    if (!segment || !next) return;
    const whole = { ...segment, end: Math.max(segment.end, next.end) };
    this.change(`merged ${this.words(segment)} and ${this.words(next)}`, (entry) => {
      for (const part of [segment, next]) this.drop(entry, "annotations", this.keyOf("annotations", part));
      entry.annotations.push(markOf(whole));
    });
    this.choose("annotations", whole);
  }

  remove() {
    const segment = this.chosenSegment();
    const { chosen } = this;
    if (!segment || !chosen) return;
    this.change(`deleted ${this.words(segment)}`, (entry) => this.drop(entry, chosen.kind, chosen.key));
    this.choose(null);
  }

  empty() {
    this.change("none of it happens here", (entry) => {
      Object.assign(entry, { annotations: [], points: [], rejected: [], checked: true });
    });
    this.choose(null);
  }

  /** @param {string} note */
  write(note) {
    this.change("wrote a note", (entry) => {
      entry.note = note;
    });
  }

  /** @param {boolean} checked */
  check(checked) {
    this.change(checked ? "checked completely" : "not checked completely", (entry) => {
      entry.checked = checked;
    });
  }

  /** @param {Timeline} timeline */
  lane(timeline) {
    return new MarksLane(this, timeline).parts();
  }

  /**
   * Buttons beside a detection in the list.
   *
   * @param {Detection} detection
   */
  judge(detection) {
    const verdict = marks.verdict(this.id, detection);
    const words = this.words(detection);
    const button = (
      /** @type {string} */ text,
      /** @type {string} */ verb,
      /** @type {boolean} */ on,
      /** @type {() => void} */ act,
    ) =>
      make(
        "button",
        { type: "button", class: "judge", "aria-label": `${verb} ${words}`, "aria-pressed": String(on), onclick: act },
        text,
      );
    return [
      button("✓", "Accept", verdict === "accepted", () => this.accept(detection)),
      button("✗", "Reject", verdict === "rejected", () => this.reject(detection)),
    ];
  }
}
