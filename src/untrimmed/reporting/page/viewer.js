/** An open video: the player, its detections as a list, and the timeline. */

import { data } from "./data.js";
import { make } from "./dom.js";
import { clock, grouped, many, scoreText } from "./format.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Detection} Detection */

export class Viewer {
  /** @param {Video} video */
  constructor(video) {
    this.video = video;
    this.player = new Player(video, () => this.mark());
    this.timeline = new Timeline(video, this.player);
    this.picks = make("ol");
    this.caption = make("h4");
    this.readout = make("span", { class: "clock" });
    /** @type {Map<HTMLElement, Detection>} */
    this.buttons = new Map();
    const stage = make(
      "div",
      { class: `stage${data.hasVideos ? "" : " alone"}` },
      data.hasVideos ? this.player.root : null,
      make("div", { class: "picks" }, this.caption, this.picks),
    );
    const legend = make(
      "div",
      { class: "legend" },
      data.hasTruth ? make("span", {}, make("i", { class: "t" }), "truth") : null,
      make("span", {}, make("i", { class: "f" }), "detection, the surer the fuller"),
      this.readout,
    );
    this.root = make("div", { class: "body" }, stage, this.timeline.root, legend);
  }

  /** @param {Detection[]} shown */
  draw(shown) {
    const { more, detections } = this.video;
    const cut = more ? `; ${grouped(more)} less sure ones are left out of this page` : "";
    this.caption.textContent = `${many(shown.length, "detection")}${cut}`;
    this.buttons.clear();
    const picks = shown.map((detection) => make("li", {}, this.makePick(detection)));
    if (!picks.length) {
      const words = detections.length
        ? "None that the filter and the slider let through."
        : "Nothing was found in this video.";
      picks.push(make("li", { class: "none" }, words));
    }
    this.picks.replaceChildren(...picks);
    this.timeline.draw(shown);
    this.mark();
  }

  /** @param {Detection} detection */
  makePick(detection) {
    const { start, end, label, score } = detection;
    const name = data.classes[label];
    const words = `Play ${name}, ${clock(start, 1)} to ${clock(end, 1)}, score ${scoreText(score)}`;
    const button = make(
      "button",
      { class: "pick", type: "button", "aria-label": words, onclick: () => this.player.playSegment(detection) },
      make("i", { class: "dab", "--h": data.hues[label] }),
      make("span", { class: "what" }, name),
      make("span", { class: "when" }, `${clock(start, 1)} – ${clock(end, 1)}`),
      make("span", { class: "how" }, scoreText(score)),
    );
    this.buttons.set(button, detection);
    return button;
  }

  /** Show where the player is. */
  mark() {
    const { at, segment } = this.player;
    this.readout.textContent = `${clock(at, 1)} / ${clock(this.video.duration)}`;
    for (const [button, detection] of this.buttons) button.classList.toggle("on", detection === segment);
    this.timeline.mark();
  }

  close() {
    this.player.close();
    this.root.remove();
  }
}
