/** All lanes of an open video over one time axis: truth and detections by class, the curves, the playhead. */

import { activationLane, attentionLane } from "./curves.js";
import { bestTiou, data, tiou } from "./data.js";
import { make, setChildren } from "./dom.js";
import { editing } from "./editing.js";
import { clock, scoreText } from "./format.js";
import { lookOf } from "./look.js";
import { ofChosenClass, ranking, rankingBeside } from "./view.js";
import { TimeWindow } from "./window.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */
/** @typedef {import("./player.js").Player} Player */

const MOST_STACKED = 4;
const BAR_HEIGHT = 20;
const TRUTH_HEIGHT = 12;

/** Seconds between two marks of the axis. */
const AXIS_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200];

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
 * Segments in as few stacked rows as they need, at most `most`: none overlaps another of its row.
 *
 * @template {Segment} S
 * @param {S[]} segments
 * @returns {S[][]}
 */
export function stacked(segments, most = MOST_STACKED) {
  /** @type {S[][]} */
  const rows = [];
  for (const segment of segments) {
    let level = rows.findIndex((row) => row.every((other) => tiou(segment, other) === 0));
    if (level < 0) level = Math.min(rows.length, most - 1);
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
    this.window = new TimeWindow(video.duration);
    this.root = make("div", { class: "time" });
    this.root.addEventListener("mousemove", (event) => this.hover(event));
    this.root.addEventListener("mouseleave", () => this.showHover(false));
    this.root.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.root.addEventListener("keydown", (event) => this.pressed(event));
    this.headLine = make("div", { class: "head-line" });
    this.hoverText = make("span");
    this.hoverLine = make("div", { class: "hover-line" }, this.hoverText);
    this.over = make("div", { class: "over" }, this.hoverLine, this.headLine);
    this.zoomButtons = make(
      "span",
      { class: "zoom", role: "group", "aria-label": "Zoom of the time axis" },
      this.makeZoom("−", "Zoom out (key −; Ctrl and wheel)", () => this.zoom(2)),
      this.makeZoom("+", "Zoom in at the playhead (key +; Ctrl and wheel)", () => this.zoom(0.5)),
      this.makeZoom("segment", "Zoom to the segment at the playhead (key Z)", () => this.zoomToSegment()),
      this.makeZoom("whole", "Show the whole video (key F)", () => this.zoom(Number.POSITIVE_INFINITY)),
      this.makeZoom("‹", "Move to earlier (Shift and ←)", () => this.pan(-1)),
      this.makeZoom("›", "Move to later (Shift and →)", () => this.pan(1)),
    );
    // Roughly, in pixels: is there room for a number in a bar? Asking at each drawing would lay the page out each time.
    this.axisWidth = 0;
    new ResizeObserver(([{ contentRect }]) => {
      this.axisWidth = contentRect.width * 0.8;
      this.redraw();
    }).observe(this.root);
    this.curveLabel = video.curves ? video.curves.classes[0] : -1;
    /** @type {Detection[]} */
    this.shown = [];
    /** @type {Detection[]} */
    this.beside = [];
    /** @type {WeakMap<Element, Segment>} what each bar stands for */
    this.segments = new WeakMap();
    /** @type {HTMLElement[]} those that are drawn */
    this.bars = [];
    /** @type {Map<number, {of: Segment[], cells: HTMLElement[]}>} lanes of classes: they stay as long as they show the same */
    this.lanes = new Map();
    /** @type {{curves: HTMLElement[], axis: HTMLElement} | null} what no slider changes */
    this.rest = null;
  }

  /** Make everything anew when it is drawn next. */
  forget() {
    this.lanes.clear();
    this.rest = null;
  }

  /**
   * @param {Detection[]} shown
   * @param {Detection[]} beside those of the run beside this one
   */
  draw(shown, beside) {
    this.shown = shown;
    this.beside = beside;
    const focused = document.activeElement && this.segments.get(document.activeElement);
    const asked = [...this.video.truth, ...shown, ...beside].filter(ofChosenClass);
    const labels = new Set(asked.map((segment) => segment.label));
    this.rest ??= { curves: this.makeCurves(), axis: this.makeAxis() };
    const marked = editing.on?.lane(this);
    const cells = [
      ...(marked ? this.makeLane(marked.side, marked.content, "marked") : []),
      ...[...labels].flatMap((label) => this.laneOf(label)),
      ...(labels.size ? [] : this.makeLane([], [make("span", { class: "none" }, "Nothing to show on the time axis.")])),
      ...this.rest.curves,
    ];
    cells.forEach((cell, i) => {
      cell.style.gridRow = String(Math.floor(i / 2) + 1);
    });
    this.over.style.gridRow = `1 / span ${cells.length / 2}`;
    this.rest.axis.style.gridRow = String(cells.length / 2 + 1);
    this.root.classList.toggle("zoomed", !this.window.whole);
    setChildren(this.root, [...cells, this.rest.axis, this.over]);
    this.bars = [.../** @type {NodeListOf<HTMLElement>} */ (this.root.querySelectorAll(".bar"))];
    if (focused) this.focus(focused);
    this.mark();
  }

  redraw() {
    this.forget();
    this.draw(this.shown, this.beside);
  }

  /**
   * What stands beside a lane, and the lane.
   *
   * @param {Node[]} side
   * @param {Node[]} content
   */
  makeLane(side, content, kind = "") {
    const lane = make("div", { class: `lane ${kind}`, onclick: (event) => this.playFrom(event) }, ...content);
    return [make("div", { class: "side" }, ...side), lane];
  }

  /**
   * The lane of a class, which is made anew only if it shows something else; with another run beside this one, two.
   *
   * @param {number} label
   */
  laneOf(label) {
    const ofClass = (/** @type {Segment[]} */ some) => some.filter((segment) => segment.label === label);
    const of = ofClass([...this.shown, ...this.beside]);
    let lane = this.lanes.get(label);
    if (!lane || lane.of.length !== of.length || lane.of.some((segment, i) => segment !== of[i])) {
      lane = { of, cells: this.makeClass(label) };
      this.lanes.set(label, lane);
    }
    return lane.cells;
  }

  /** @param {number} label */
  makeClass(label) {
    const truth = this.video.truth.filter((segment) => segment.label === label);
    const detections = this.shown.filter((detection) => detection.label === label);
    const name = data.classes[label];
    const head = [make("i", { class: "dab", ...lookOf(label) }), make("b", {}, name)];
    if (data.runs) head.push(make("span", { class: "of" }, data.runs.shown));
    const cells = this.makeBars(head, name, truth, detections);
    if (!data.runs) return cells;
    const beside = this.beside.filter((detection) => detection.label === label);
    const side = make("span", { class: "of" }, data.runs.beside);
    return [...cells, ...this.makeBars([side], `${name} by ${data.runs.beside}`, [], beside, true)];
  }

  /**
   * @param {Node[]} side
   * @param {string} name
   * @param {Segment[]} truth
   * @param {Detection[]} detections
   * @param {boolean} beside of the run beside this one
   */
  makeBars(side, name, truth, detections, beside = false) {
    const base = truth.length ? TRUTH_HEIGHT : 0;
    const rows = stacked(detections);
    /** @type {HTMLElement[]} */
    const bars = [];
    for (const segment of truth) if (this.window.shows(segment)) bars.push(this.makeTruth(segment));
    rows.forEach((row, i) => {
      const seen = row.filter((detection) => this.window.shows(detection));
      bars.push(...seen.map((detection) => this.makeDetection(detection, base + BAR_HEIGHT * i, beside)));
    });
    bars.sort((a, b) => Number(a.dataset.start) - Number(b.dataset.start));
    const words = `${name}: arrow keys go from one to the next, Enter plays`;
    const group = make("div", { class: "bars", role: "group", "aria-label": words }, ...bars);
    group.style.height = `${Math.max(base + BAR_HEIGHT * rows.length, TRUTH_HEIGHT)}px`;
    const ordered = [...truth, ...detections].sort((a, b) => a.start - b.start);
    group.addEventListener("keydown", (event) => this.walk(event, ordered));
    if (bars.length) bars[0].tabIndex = 0;
    return this.makeLane(side, [group], beside ? "beside" : "");
  }

  /** @returns {HTMLElement[]} */
  makeCurves() {
    const { video } = this;
    if (!video.curves) return [];
    const attention = attentionLane(video.curves, this.window);
    const activation = activationLane(video.curves, this.window, this.curveLabel, (label) => {
      this.curveLabel = label;
      this.redraw();
      this.root.querySelector("select")?.focus();
    });
    return [attention, activation].flatMap((lane) => (lane ? this.makeLane(lane.side, lane.content, "curve") : []));
  }

  /** @param {Segment} segment */
  makeTruth(segment) {
    const words = `Truth: ${this.words(segment)}`;
    return this.makeBar(segment, { class: "bar truth", title: words, "aria-label": words, top: "0px" }, 11);
  }

  /**
   * @param {Detection} detection
   * @param {number} top in pixels
   * @param {boolean} beside
   */
  makeDetection(detection, top, beside) {
    const { score, right } = detection;
    const who = beside && data.runs ? `Detection of ${data.runs.beside}` : "Detection";
    let words = `${who}: ${this.words(detection)}, score ${scoreText(score)}`;
    if (this.video.truth.length) words += `, tIoU ${bestTiou(detection, this.video.truth).toFixed(2)} with the truth`;
    if (right !== null) words += right ? ": right" : ": wrong";
    const opaque = (beside ? rankingBeside : ranking).opacity(score);
    const kind = right === null ? "" : right ? " right" : " wrong";
    const verdict = beside ? "" : (editing.on?.verdict(this.video, detection) ?? "");
    if (verdict) words += `: ${verdict}`;
    const bar = this.makeBar(
      detection,
      {
        class: `bar detection${opaque < 0.6 ? " pale" : ""}${kind} ${verdict}`,
        title: words,
        "aria-label": words,
        "data-score": score,
        top: `${top}px`,
        "--o": opaque.toFixed(3),
      },
      8,
    );
    if (this.window.share(detection) * this.axisWidth > 40) bar.append(scoreText(score));
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
      left: `min(${this.window.left(start)}, 100% - ${least}px)`,
      width: `${100 * this.window.share(segment)}%`,
      ...lookOf(label),
      ...attributes,
    });
    bar.addEventListener("click", (event) => {
      event.stopPropagation();
      this.player.playSegment(segment);
    });
    this.segments.set(bar, segment);
    return bar;
  }

  makeAxis() {
    const { window: shown } = this;
    const axis = make("div", { class: "axis", title: "drag to move along, Ctrl and wheel to zoom" });
    const most = window.innerWidth < 736 ? 4 : 9;
    const step = AXIS_STEPS.find((seconds) => shown.length / seconds <= most) ?? shown.length / 6;
    const first = Math.ceil(shown.start / step - 1e-9);
    for (let k = first; k * step <= shown.start + shown.length * 0.97; k++) {
      const left = shown.left(k * step);
      const mark = make("span", { left, class: k === 0 ? "edge" : null }, clock(k * step, step < 1 ? 1 : 0));
      axis.append(mark, make("i", { left }));
    }
    axis.addEventListener("pointerdown", (event) => this.drag(event, axis));
    return axis;
  }

  /**
   * Drag the axis along; without moving it is a click that plays from there.
   *
   * @param {PointerEvent} event
   * @param {HTMLElement} axis
   */
  drag(event, axis) {
    const { width } = axis.getBoundingClientRect();
    const from = { x: event.clientX, start: this.window.start };
    let moved = false;
    const listen = new AbortController();
    const { signal } = listen;
    const move = (/** @type {PointerEvent} */ { clientX }) => {
      moved ||= Math.abs(clientX - from.x) > 3;
      if (moved && this.window.moveTo(from.start - ((clientX - from.x) / width) * this.window.length)) this.redraw();
    };
    window.addEventListener("pointermove", move, { signal });
    window.addEventListener("pointercancel", () => listen.abort(), { signal });
    const end = (/** @type {PointerEvent} */ last) => {
      listen.abort();
      if (!moved) this.playFrom(last);
    };
    window.addEventListener("pointerup", end, { signal });
  }

  /** Move the playhead, and mark the segment that is played. */
  mark() {
    const { at, segment } = this.player;
    const away = this.player.runs && !this.window.holds(at);
    if (away && this.window.moveTo(at - this.window.length * 0.1)) {
      this.redraw();
      return;
    }
    const seconds = Math.min(at, this.video.duration);
    this.headLine.hidden = !this.window.whole && !this.window.holds(seconds);
    this.headLine.style.left = this.window.left(seconds);
    for (const bar of this.bars) bar.classList.toggle("on", this.segments.get(bar) === segment);
  }

  /** @param {MouseEvent} event */
  playFrom(event) {
    this.player.playFrom(this.window.timeAt(Math.min(Math.max(this.placeOf(event), 0), 1)));
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
    this.hoverText.textContent = clock(this.window.timeAt(place), 1);
  }

  /** @param {boolean} on */
  showHover(on) {
    this.hoverLine.style.display = on ? "block" : "none";
  }

  /**
   * @param {string} text
   * @param {string} words
   * @param {() => void} act
   */
  makeZoom(text, words, act) {
    return make("button", { type: "button", title: words, "aria-label": words, onclick: act }, text);
  }

  /**
   * Show this many times as much time, around a time; by default around the playhead.
   *
   * @param {number} factor
   */
  zoom(factor, around = this.player.at) {
    if (this.window.zoom(factor, around)) this.redraw();
  }

  /**
   * Move along by half of what is shown.
   *
   * @param {1 | -1} way
   */
  pan(way) {
    if (this.window.moveTo(this.window.start + (way * this.window.length) / 2)) this.redraw();
  }

  /** Zoom to the segment that was played last, or to the first one at the playhead. */
  zoomToSegment() {
    const { at, last } = this.player;
    const segments = [...this.shown, ...this.video.truth, ...this.beside];
    const segment = last ?? segments.find(({ start, end }) => start <= at && at <= end) ?? segments[0];
    if (!segment) return;
    this.window.show(segment);
    this.redraw();
  }

  /** @param {WheelEvent} event */
  wheel(event) {
    const across = event.shiftKey ? event.deltaY || event.deltaX : event.deltaX;
    if (event.ctrlKey || event.metaKey) {
      const place = Math.min(Math.max(this.placeOf(event), 0), 1);
      this.zoom(1.5 ** Math.sign(event.deltaY), this.window.timeAt(place));
    } else if (!this.window.whole && Math.abs(across) > (event.shiftKey ? 0 : Math.abs(event.deltaY))) {
      if (this.window.moveTo(this.window.start + (across / this.over.clientWidth) * this.window.length)) this.redraw();
    } else return;
    event.preventDefault();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const { key, shiftKey } = event;
    if (key === "+" || key === "=") this.zoom(0.5);
    else if (key === "-") this.zoom(2);
    else if (key === "f" || key === "F") this.zoom(Number.POSITIVE_INFINITY);
    else if (key === "z" || key === "Z") this.zoomToSegment();
    else if (shiftKey && key === "ArrowLeft") this.pan(-1);
    else if (shiftKey && key === "ArrowRight") this.pan(1);
    else return;
    event.preventDefault();
  }

  /**
   * From one segment of a lane to the next by the arrow keys.
   *
   * @param {KeyboardEvent} event
   * @param {Segment[]} ordered
   */
  walk(event, ordered) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const here = document.activeElement && this.segments.get(document.activeElement);
    if (!step || !here || event.shiftKey) return;
    event.preventDefault();
    const next = ordered[Math.min(Math.max(ordered.indexOf(here) + step, 0), ordered.length - 1)];
    this.reveal(next);
    this.focus(next);
  }

  /**
   * Move along until a segment can be seen.
   *
   * @param {Segment} segment
   */
  reveal(segment) {
    if (this.window.shows(segment)) return;
    this.window.moveTo((segment.start + segment.end - this.window.length) / 2);
    this.redraw();
  }

  /** @param {Segment} segment */
  focus(segment) {
    for (const bar of this.bars) {
      if (this.segments.get(bar) !== segment) continue;
      for (const other of bar.parentElement?.children ?? []) if (other instanceof HTMLElement) other.tabIndex = -1;
      bar.tabIndex = 0;
      bar.focus();
    }
  }
}
