/** A video in the list: a line with its strip, and when it is open, the viewer. */

import { bestTiou, data, RIGHT_TIOU } from "./data.js";
import { make, setChildren } from "./dom.js";
import { editing } from "./editing.js";
import { clock, many } from "./format.js";
import { lookOf } from "./look.js";
import { share, stacked } from "./timeline.js";
import { chosen, countSurer, passingBeside, passingOf, ranking, rankingBeside, view } from "./view.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */

/** Rows of overlapping detections in the strip of a closed video. */
const MOST_LANES = 3;

/** Top and height, in per cent of the strip, of its parts: the truth, the detections, those of the run beside it. */
const PARTS = { truth: [0, 27], shown: [46, 54], beside: [0, 0] };
const PARTS_OF_TWO = { truth: [0, 20], shown: [32, 34], beside: [72, 28] };

/**
 * @param {HTMLElement} mark
 * @param {"truth" | "shown" | "beside"} kind
 * @param {number} lane of so many `lanes`
 * @param {number} lanes
 */
function placeMark(mark, kind, lane, lanes) {
  const [top, height] = (data.runs ? PARTS_OF_TWO : PARTS)[kind];
  mark.style.top = `${top + (height * lane) / lanes}%`;
  mark.style.height = `${(0.94 * height) / lanes}%`;
}

export class Row {
  /** @param {Video} video */
  constructor(video) {
    this.video = video;
    this.labels = new Set([...video.truth, ...video.detections, ...video.beside].map((segment) => segment.label));
    /** Near the screen: rows far from it are only a line of text, and drawn when they come near. */
    this.near = false;
    /** What is drawn is not what is to be seen. */
    this.stale = true;
    /** What `shown` and `beside` were chosen by. */
    this.chosenBy = "";
    /** @type {Detection[]} the surest first */
    this.shown = [];
    /** @type {Detection[]} */
    this.beside = [];
    /** @type {Map<Detection, HTMLElement>} marks in the strip: those that are made stay, for when they are shown again */
    this.marks = new Map();
    /** @type {Viewer | null} */
    this.viewer = null;
    this.strip = make("span", { class: `strip${data.runs ? " of-two" : ""}`, "aria-hidden": "true" });
    this.tally = make("span", { class: "tally" });
    this.button = make(
      "button",
      { class: "row", type: "button", "aria-expanded": "false", onclick: () => this.toggle(!this.viewer) },
      make("span", { class: "name" }, make("b", {}, video.id), make("span", {}, clock(video.duration))),
      this.strip,
      this.tally,
    );
    this.root = make("li", { class: "video" }, make("h3", {}, this.button));
  }

  /** Choose what is shown, if the slider, the class, or right or wrong let other detections through than before. */
  choose() {
    const counts = [countSurer(this.video.detections, view.least), countSurer(this.video.beside, view.leastBeside)];
    const by = `${counts} ${view.label} ${view.right}`;
    if (by === this.chosenBy) return;
    this.chosenBy = by;
    this.shown = chosen(passingOf(this.video));
    this.beside = chosen(passingBeside(this.video));
    this.stale = true;
  }

  /** The classes that this video shows: those of the truth, and of the detections that the slider lets through. */
  get labelsShown() {
    const { truth, detections } = this.video;
    const surer = detections.slice(0, countSurer(detections, view.least));
    return new Set([...truth, ...surer].map((segment) => segment.label));
  }

  /** How many true segments no shown detection of their class overlaps by tIoU 0.5. */
  missed() {
    const passing = passingOf(this.video);
    return this.video.truth.filter((segment) => bestTiou(segment, passing) < RIGHT_TIOU).length;
  }

  /** How many detections of either run the other one lacks. */
  different() {
    const [ours, theirs] = [passingOf(this.video), passingBeside(this.video)];
    const alone = (/** @type {Detection[]} */ some, /** @type {Detection[]} */ others) =>
      some.filter((detection) => bestTiou(detection, others) < RIGHT_TIOU).length;
    return alone(ours, theirs) + alone(theirs, ours);
  }

  /** @param {boolean} near */
  comeNear(near) {
    this.near = near || this.viewer !== null;
    this.draw();
  }

  /** Draw it again, of which something else is known. */
  drawAgain() {
    this.stale = true;
    this.viewer?.forget();
    this.draw();
  }

  /** Draw it, if it is near and not drawn as it is to be seen. */
  draw() {
    if (!this.near || !this.stale) return;
    this.stale = false;
    const { video, shown, beside } = this;
    const marks = (editing.on?.segments(video) ?? video.truth).map((segment) => this.makeMark(segment, "truth", 0, 1));
    marks.push(...this.marksOf(shown, "shown"), ...this.marksOf(beside, "beside"));
    setChildren(this.strip, marks);
    const count = video.truth.length;
    this.tally.textContent = count
      ? `${count - this.missed()} of ${count} true found`
      : editing.on?.tally(video) || many(shown.length, "detection");
    this.tally.title = count ? "true segments that a shown detection of the same class overlaps by tIoU 0.5" : "";
    this.viewer?.draw(shown, beside);
  }

  /**
   * Detections in lanes, so that those that overlap stay visible.
   *
   * @param {Detection[]} detections
   * @param {"shown" | "beside"} kind
   */
  marksOf(detections, kind) {
    const lanes = stacked(detections, MOST_LANES);
    const ranks = kind === "shown" ? ranking : rankingBeside;
    return lanes.flatMap((lane, i) =>
      [...lane].reverse().map((detection) => {
        const known = this.marks.get(detection);
        const mark = known ?? this.makeMark(detection, kind, i, lanes.length);
        if (known) placeMark(mark, kind, i, lanes.length);
        else mark.style.opacity = String(ranks.opacity(detection.score));
        this.marks.set(detection, mark);
        return mark;
      }),
    );
  }

  /**
   * @param {Segment} segment
   * @param {"truth" | "shown" | "beside"} kind
   * @param {number} lane of so many `lanes`
   * @param {number} lanes
   */
  makeMark({ start, end, label }, kind, lane, lanes) {
    const mark = make("i", {
      class: kind,
      left: share(start, this.video),
      width: share(end - start, this.video),
      ...lookOf(label),
    });
    placeMark(mark, kind, lane, lanes);
    return mark;
  }

  /** @param {boolean} open */
  toggle(open) {
    this.root.classList.toggle("open", open);
    this.button.setAttribute("aria-expanded", String(open));
    if (open && !this.viewer) {
      this.viewer = new Viewer(this.video);
      this.root.append(this.viewer.root);
      this.near = true;
      this.stale = true;
      this.draw();
    } else if (!open) {
      this.viewer?.close();
      this.viewer = null;
    }
  }
}
