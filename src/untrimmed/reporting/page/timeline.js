/** All lanes of an open video over one time axis: truth and detections by class, the curves, the playhead. */

import { activationLane, attentionLane } from "./curves.js";
import { bestTiou, data, tiou } from "./data.js";
import { make } from "./dom.js";
import { clock, scoreText } from "./format.js";
import { ofChosenClass, opacity } from "./view.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */
/** @typedef {import("./player.js").Player} Player */

const MOST_STACKED = 4;
const BAR_HEIGHT = 20;
const TRUTH_HEIGHT = 12;

/** Seconds between two marks of the axis. */
const AXIS_STEPS = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

/**
 * A time of a video as a share of its width.
 *
 * @param {number} seconds
 * @param {Video} video
 */
export function share(seconds, video) {
  return `${(100 * Math.max(seconds, 0)) / video.duration}%`;
}

/**
 * Detections in as few stacked rows as they need, at most `MOST_STACKED`: none overlaps another of its row.
 *
 * @template {Segment} S
 * @param {S[]} segments
 * @returns {S[][]}
 */
export function stacked(segments) {
  /** @type {S[][]} */
  const rows = [];
  for (const segment of segments) {
    let level = rows.findIndex((row) => row.every((other) => tiou(segment, other) === 0));
    if (level < 0) level = Math.min(rows.length, MOST_STACKED - 1);
    rows[level] ??= [];
    rows[level].push(segment);
  }
  return rows;
}

export class Timeline {
  /**
   * @param {Video} video
   * @param {Player} player
   */
  constructor(video, player) {
    this.video = video;
    this.player = player;
    this.root = make("div", { class: "time" });
    this.root.addEventListener("mousemove", (event) => this.hover(event));
    this.root.addEventListener("mouseleave", () => this.showHover(false));
    this.headLine = make("div", { class: "head-line" });
    this.hoverText = make("span");
    this.hoverLine = make("div", { class: "hover-line" }, this.hoverText);
    this.over = make("div", { class: "over" }, this.hoverLine, this.headLine);
    this.curveLabel = video.curves ? video.curves.classes[0] : -1;
    /** @type {Detection[]} */
    this.shown = [];
    /** @type {Map<HTMLElement, Segment>} */
    this.bars = new Map();
    /** @type {HTMLElement[]} what stands beside each lane, and the lane */
    this.cells = [];
  }

  /** @param {Detection[]} shown */
  draw(shown) {
    this.shown = shown;
    this.bars.clear();
    this.cells = [];
    const labels = new Set([...this.video.truth, ...shown].filter(ofChosenClass).map((segment) => segment.label));
    for (const label of labels) this.addClass(label);
    if (!labels.size) this.addLane([], [make("span", { class: "none" }, "Nothing to show on the time axis.")]);
    this.addCurves();
    const lanes = this.cells.length / 2;
    this.cells.forEach((cell, i) => {
      cell.style.gridRow = String(Math.floor(i / 2) + 1);
    });
    this.over.style.gridRow = `1 / span ${lanes}`;
    const axis = this.makeAxis();
    axis.style.gridRow = String(lanes + 1);
    this.root.replaceChildren(...this.cells, axis, this.over);
    this.mark();
  }

  /**
   * @param {Node[]} side
   * @param {Node[]} content
   */
  addLane(side, content, kind = "") {
    const lane = make("div", { class: `lane ${kind}`, onclick: (event) => this.playFrom(event) }, ...content);
    this.cells.push(make("div", { class: "side" }, ...side), lane);
  }

  /** @param {number} label */
  addClass(label) {
    const truth = this.video.truth.filter((segment) => segment.label === label);
    const rows = stacked(this.shown.filter((detection) => detection.label === label));
    const base = truth.length ? TRUTH_HEIGHT : 0;
    const bars = truth.map((segment) => this.makeTruth(segment));
    rows.forEach((row, i) => {
      bars.push(...row.map((detection) => this.makeDetection(detection, base + BAR_HEIGHT * i)));
    });
    bars.sort((a, b) => Number(a.dataset.start) - Number(b.dataset.start));
    const name = data.classes[label];
    const words = `${name}: arrow keys go from one to the next, Enter plays`;
    const group = make("div", { class: "bars", role: "group", "aria-label": words }, ...bars);
    group.style.height = `${base + BAR_HEIGHT * rows.length}px`;
    group.addEventListener("keydown", (event) => walk(event, bars));
    bars[0].tabIndex = 0;
    this.addLane([make("i", { class: "dab", "--h": data.hues[label] }), make("b", {}, name)], [group]);
  }

  addCurves() {
    const { video } = this;
    if (!video.curves) return;
    const attention = attentionLane(video, video.curves);
    if (attention) this.addLane(attention.side, attention.content, "curve");
    const activation = activationLane(video, video.curves, this.curveLabel, (label) => {
      this.curveLabel = label;
      this.draw(this.shown);
      this.root.querySelector("select")?.focus();
    });
    this.addLane(activation.side, activation.content, "curve");
  }

  /** @param {Segment} segment */
  makeTruth(segment) {
    const words = `Truth: ${this.words(segment)}`;
    return this.makeBar(segment, { class: "bar truth", title: words, "aria-label": words, top: "0px" }, 11);
  }

  /**
   * @param {Detection} detection
   * @param {number} top in pixels
   */
  makeDetection(detection, top) {
    let words = `Detection: ${this.words(detection)}, score ${scoreText(detection.score)}`;
    if (this.video.truth.length) words += `, tIoU ${bestTiou(detection, this.video.truth).toFixed(2)} with the truth`;
    const opaque = opacity(detection.score);
    const bar = this.makeBar(
      detection,
      {
        class: `bar detection${opaque < 0.6 ? " pale" : ""}`,
        title: words,
        "aria-label": words,
        "data-score": detection.score,
        top: `${top}px`,
        "--o": opaque.toFixed(3),
      },
      8,
    );
    const axisWidth = this.root.clientWidth * 0.8; // roughly: is there room for a number in the bar?
    if (((detection.end - detection.start) / this.video.duration) * axisWidth > 40)
      bar.append(scoreText(detection.score));
    return bar;
  }

  /** @param {Segment} segment */
  words({ start, end, label }) {
    return `${data.classes[label]}, ${clock(start, 2)} to ${clock(end, 2)}`;
  }

  /**
   * @param {Segment} segment
   * @param {import("./dom.js").Attributes} attributes
   * @param {number} least the least width of a bar in pixels, so that it stays visible at the end of a long video
   */
  makeBar(segment, attributes, least) {
    const { start, end, label } = segment;
    const bar = make("button", {
      type: "button",
      tabindex: "-1",
      "data-start": start,
      "data-end": end,
      "data-label": data.classes[label],
      left: `min(${share(start, this.video)}, 100% - ${least}px)`,
      width: share(end - start, this.video),
      "--h": data.hues[label],
      ...attributes,
    });
    bar.addEventListener("click", (event) => {
      event.stopPropagation();
      this.player.playSegment(segment);
    });
    this.bars.set(bar, segment);
    return bar;
  }

  makeAxis() {
    const { video } = this;
    const axis = make("div", { class: "axis", onclick: (event) => this.playFrom(event) });
    const most = window.innerWidth < 736 ? 4 : 9;
    const step = AXIS_STEPS.find((seconds) => video.duration / seconds <= most) ?? video.duration / 6;
    for (let t = 0; t <= video.duration * 0.97; t += step) {
      const left = share(t, video);
      axis.append(make("span", { left }, clock(t, step < 1 ? 1 : 0)), make("i", { left }));
    }
    return axis;
  }

  /** Move the playhead, and mark the segment that is played. */
  mark() {
    const { at, segment } = this.player;
    this.headLine.style.left = share(Math.min(at, this.video.duration), this.video);
    for (const [bar, own] of this.bars) bar.classList.toggle("on", own === segment);
  }

  /** @param {MouseEvent} event */
  playFrom(event) {
    this.player.playFrom(Math.min(Math.max(this.placeOf(event), 0), 1) * this.video.duration);
  }

  /**
   * Where on the axis the pointer is: 0 at its start, 1 at its end.
   *
   * @param {MouseEvent} event
   */
  placeOf(event) {
    const box = this.over.getBoundingClientRect();
    return (event.clientX - box.left) / box.width;
  }

  /** @param {MouseEvent} event */
  hover(event) {
    const place = this.placeOf(event);
    this.showHover(place >= 0 && place <= 1);
    this.hoverLine.style.left = `${100 * place}%`;
    this.hoverLine.classList.toggle("left", place > 0.85);
    this.hoverText.textContent = clock(place * this.video.duration, 1);
  }

  /** @param {boolean} on */
  showHover(on) {
    this.hoverLine.style.display = on ? "block" : "none";
  }
}

/**
 * From one bar to the next by the arrow keys.
 *
 * @param {KeyboardEvent} event
 * @param {HTMLElement[]} bars
 */
function walk(event, bars) {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const here = bars.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (!step || here < 0) return;
  event.preventDefault();
  const next = bars[Math.min(Math.max(here + step, 0), bars.length - 1)];
  bars[here].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
