/** The lane of a person's marks over the time axis, to draw in. */

import { data } from "./data.js";
import { make } from "./dom.js";
import { lookOf } from "./look.js";
import { marks } from "./marks.js";
import { stacked } from "./timeline.js";

/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./edit.js").Editor} Editor */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./marks.js").Kind} Kind */

const ROW_HEIGHT = 24;
const MOST_ROWS = 8;

/** Seconds that a segment must have. */
export const SHORTEST_MARK = 0.02;

/** Pixels that the pointer moves before it draws. */
const DRAG = 4;

/** What a mark is called. @type {{[kind in Kind]: string}} */
export const KIND_NAMES = { annotations: "Segment", points: "Point", rejected: "Rejected" };

export class MarksLane {
  /**
   * @param {Editor} editor
   * @param {Timeline} timeline
   */
  constructor(editor, timeline) {
    this.editor = editor;
    this.timeline = timeline;
  }

  /** @returns {{side: Node[], content: Node[]}} */
  parts() {
    const { editor, timeline } = this;
    const segments = marks.segments(editor.id, "annotations");
    const rejected = marks.segments(editor.id, "rejected");
    const rows = [...stacked(segments, MOST_ROWS), ...stacked(rejected, MOST_ROWS)];
    const upper = stacked(segments, MOST_ROWS).length;
    /** @type {HTMLElement[]} */
    const bars = rows.flatMap((row, i) =>
      row
        .filter((segment) => timeline.window.shows(segment))
        .map((segment) => this.makeBar(segment, i < upper ? "annotations" : "rejected", ROW_HEIGHT * i)),
    );
    for (const point of marks.segments(editor.id, "points")) {
      if (timeline.window.shows(point)) bars.push(this.makeBar(point, "points", 0));
    }
    const group = make(
      "div",
      { class: "marks", role: "group", "aria-label": "Your marks; drag to draw a segment" },
      ...bars,
    );
    group.style.height = `${ROW_HEIGHT * Math.max(rows.length, 1)}px`;
    group.addEventListener("pointerdown", (event) => this.draw(event, group));
    group.addEventListener("click", (event) => event.stopPropagation());
    const count = segments.length + marks.of(editor.id).points.length + rejected.length;
    const hint = count ? `${count} marked` : "drag here to draw";
    return { side: [make("b", {}, "Your marks"), make("span", { class: "of" }, hint)], content: [group] };
  }

  /**
   * @param {Segment} segment
   * @param {Kind} kind
   * @param {number} top in pixels
   */
  makeBar(segment, kind, top) {
    const { editor, timeline } = this;
    const words = `${KIND_NAMES[kind]}: ${editor.words(segment)}`;
    const chosen = editor.chosen?.kind === kind && editor.chosen.key === editor.keyOf(kind, segment);
    const attributes = {
      class: `bar mark ${kind}${chosen ? " chosen" : ""}`,
      title: words,
      "aria-label": words,
      "aria-pressed": String(chosen),
      tabindex: "0",
      top: `${top}px`,
    };
    const bar = timeline.makeBar(segment, attributes, kind === "points" ? 7 : 11);
    bar.addEventListener("click", () => editor.choose(kind, segment));
    if (kind === "points") return bar;
    const name = make("span", {}, data.classes[segment.label]);
    const edges = /** @type {const} */ (["start", "end"]).map((edge) => {
      const handle = make("i", { class: `edge ${edge}`, title: `drag the ${edge}` });
      handle.addEventListener("pointerdown", (event) => this.dragEdge(event, kind, segment, edge, bar));
      handle.addEventListener("click", (event) => event.stopPropagation());
      return handle;
    });
    bar.append(name, ...edges);
    return bar;
  }

  /**
   * @param {PointerEvent} event
   * @param {Kind} kind
   * @param {Segment} segment
   * @param {"start" | "end"} edge
   * @param {HTMLElement} bar
   */
  dragEdge(event, kind, segment, edge, bar) {
    const { editor, timeline } = this;
    event.stopPropagation();
    event.preventDefault();
    let time = segment[edge];
    const offset = time - this.timeAt(event);
    editor.viewer.player.pause();
    this.track(
      (moved) => {
        time = Math.min(Math.max(this.timeAt(moved) + offset, 0), editor.video.duration);
        if (edge === "start") time = Math.min(time, segment.end - SHORTEST_MARK);
        else time = Math.max(time, segment.start + SHORTEST_MARK);
        const shown = { ...segment, [edge]: time };
        bar.style.left = timeline.window.left(shown.start);
        bar.style.width = `${100 * timeline.window.share(shown)}%`;
        editor.viewer.player.standAt(time);
      },
      () => {
        editor.choose(kind, segment);
        editor.moveEdge(edge, time);
      },
    );
  }

  /**
   * Draw a segment, or set a point, where the lane is empty.
   *
   * @param {PointerEvent} event
   * @param {HTMLElement} group
   */
  draw(event, group) {
    const { editor, timeline } = this;
    if (event.target !== group || event.button !== 0) return;
    event.preventDefault();
    const from = { x: event.clientX, time: this.timeAt(event) };
    let to = from.time;
    /** @type {HTMLElement | null} */
    let ghost = null;
    this.track(
      (moved) => {
        if (!ghost && Math.abs(moved.clientX - from.x) < DRAG) return;
        to = this.timeAt(moved);
        if (!ghost) {
          ghost = make("div", { class: "bar mark annotations ghost", ...lookOf(editor.label) });
          group.append(ghost);
        }
        const shown = { start: Math.min(from.time, to), end: Math.max(from.time, to), label: editor.label };
        ghost.style.left = timeline.window.left(shown.start);
        ghost.style.width = `${100 * timeline.window.share(shown)}%`;
      },
      () => {
        if (ghost) editor.addSegment(from.time, to);
        else if (editor.pointing.checked) editor.addPoint(from.time);
        else {
          editor.choose(null);
          editor.viewer.player.standAt(from.time);
        }
      },
    );
  }

  /**
   * @param {(event: PointerEvent) => void} moved
   * @param {() => void} done
   */
  track(moved, done) {
    const listen = new AbortController();
    const { signal } = listen;
    window.addEventListener("pointermove", moved, { signal });
    window.addEventListener("pointercancel", () => listen.abort(), { signal });
    const end = () => {
      listen.abort();
      done();
    };
    window.addEventListener("pointerup", end, { signal });
  }

  /**
   * @param {PointerEvent} event
   */
  timeAt(event) {
    const { timeline } = this;
    return timeline.window.timeAt(Math.min(Math.max(timeline.placeOf(event), 0), 1));
  }
}
