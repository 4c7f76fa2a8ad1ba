/** A video in the list: a line with its strip, and when it is open, the viewer. */

import { bestTiou, data } from "./data.js";
import { make } from "./dom.js";
import { clock, many } from "./format.js";
import { share } from "./timeline.js";
import { opacity, shownOf } from "./view.js";
import { Viewer } from "./viewer.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */

export class Row {
  /** @param {Video} video */
  constructor(video) {
    this.video = video;
    this.labels = new Set([...video.truth, ...video.detections].map((segment) => segment.label));
    /** Near the screen: rows far from it are only a line of text, and drawn when they come near. */
    this.near = false;
    this.dirty = false;
    /** @type {Viewer | null} */
    this.viewer = null;
    this.strip = make("span", { class: "strip", "aria-hidden": "true" });
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

  get shown() {
    return shownOf(this.video);
  }

  /** How many true segments no shown detection of their class overlaps by tIoU 0.5. */
  missed() {
    const { shown } = this;
    return this.video.truth.filter((segment) => bestTiou(segment, shown) < 0.5).length;
  }

  /** @param {boolean} near */
  comeNear(near) {
    this.near = near || this.viewer !== null;
    if (this.near && this.dirty) this.draw();
  }

  draw() {
    if (!this.near) {
      this.dirty = true;
      return;
    }
    this.dirty = false;
    const { video, shown } = this;
    const marks = video.truth.map((segment) => this.makeMark(segment, "truth"));
    for (const detection of [...shown].reverse()) {
      const mark = this.makeMark(detection, "shown");
      mark.style.opacity = String(opacity(detection.score));
      marks.push(mark);
    }
    this.strip.replaceChildren(...marks);
    const count = video.truth.length;
    this.tally.textContent = count
      ? `${count - this.missed()} of ${count} true found`
      : many(shown.length, "detection");
    this.tally.title = count ? "true segments that a shown detection of the same class overlaps by tIoU 0.5" : "";
    this.viewer?.draw(shown);
  }

  /**
   * @param {Segment} segment
   * @param {"truth" | "shown"} kind
   */
  makeMark({ start, end, label }, kind) {
    const { video } = this;
    const width = share(end - start, video);
    return make("i", { class: kind, left: share(start, video), width, "--h": data.hues[label] });
  }

  /** @param {boolean} open */
  toggle(open) {
    this.root.classList.toggle("open", open);
    this.button.setAttribute("aria-expanded", String(open));
    if (open && !this.viewer) {
      this.viewer = new Viewer(this.video);
      this.root.append(this.viewer.root);
      this.near = true;
      this.draw();
    } else if (!open) {
      this.viewer?.close();
      this.viewer = null;
    }
  }
}
