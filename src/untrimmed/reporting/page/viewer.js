/** An open video: the player, its detections as a list, and the timeline. */

import { addressOf, data } from "./data.js";
import { make, setChildren } from "./dom.js";
import { editing } from "./editing.js";
import { clock, grouped, many, scoreText } from "./format.js";
import { linkTo } from "./hash.js";
import { lookOf } from "./look.js";
import { Player } from "./player.js";
import { Thumbs } from "./thumbs.js";
import { Timeline } from "./timeline.js";
import { view } from "./view.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */

export class Viewer {
  /** @param {Video} video */
  constructor(video) {
    this.video = video;
    this.player = new Player(video, () => this.mark());
    this.timeline = new Timeline(video, this.player);
    const { media } = video;
    this.thumbs = media?.plays && !media.fault ? new Thumbs(addressOf(media)) : null;
    this.picks = make("ol");
    this.caption = make("h4");
    this.link = make(
      "a",
      { title: "a link to this page at this moment; open it, or copy its address" },
      "link to this moment",
    );
    this.link.href = linkTo(video, 0);
    for (const nearing of ["pointerenter", "pointerdown", "focus"]) {
      this.link.addEventListener(nearing, () => {
        this.link.href = linkTo(video, this.player.at);
      });
    }
    /** @type {Detection[]} */
    this.shown = [];
    this.order = make(
      "select",
      { "aria-label": "Order of the detections" },
      make("option", { value: "score" }, "surest first"),
      make("option", { value: "time", selected: view.picksByTime }, "in order of time"),
    );
    this.order.addEventListener("change", () => {
      view.picksByTime = this.order.value === "time";
      this.drawPicks();
    });
    this.readout = make("span", { class: "clock" });
    /** @type {Map<HTMLElement, Detection>} */
    this.buttons = new Map();
    /** @type {Map<Detection, HTMLElement>} lines of the list: those that are made stay, for when they are shown again */
    this.lines = new Map();
    /** @type {{detection: Detection, place: number} | null} which button of which line had the focus, and gets it again */
    this.focused = null;
    const stage = make(
      "div",
      { class: `stage${data.hasVideos ? "" : " alone"}` },
      data.hasVideos ? this.player.root : null,
      make("div", { class: "picks" }, make("div", { class: "picks-head" }, this.caption, this.order), this.picks),
    );
    const legend = make(
      "div",
      { class: "legend" },
      data.hasTruth ? make("span", {}, make("i", { class: "t" }), "truth") : null,
      make("span", {}, make("i", { class: "f" }), "detection, the surer the fuller"),
      video.annotated ? make("span", {}, make("i", { class: "f wrong" }), "wrong one") : null,
      this.timeline.zoomButtons,
      this.link,
      this.readout,
    );
    this.root = make("div", { class: "body" }, stage, this.timeline.root, legend);
    if (editing.on) stage.after(editing.on.tools(this));
  }

  /**
   * @param {Detection[]} shown
   * @param {Detection[]} beside those of the run beside this one
   */
  draw(shown, beside) {
    this.shown = shown;
    this.drawPicks();
    this.timeline.draw(shown, beside);
    this.mark();
  }

  drawPicks() {
    const { shown } = this;
    const { more, detections } = this.video;
    const cut = more
      ? `; ${grouped(more)} less sure ones are left out of this page, which keeps ${data.mostDetections} of a video`
      : "";
    this.caption.textContent = `${many(shown.length, "detection")}${cut}`;
    this.order.value = view.picksByTime ? "time" : "score";
    const ordered = view.picksByTime ? [...shown].sort((a, b) => a.start - b.start || a.end - b.end) : shown;
    const picks = ordered.map((detection) => this.lineOf(detection));
    if (!picks.length) {
      const words = detections.length
        ? "None that the filter and the slider let through."
        : "Nothing was found in this video.";
      picks.push(make("li", { class: "none" }, words));
    }
    setChildren(this.picks, picks);
    const line = this.focused && this.lines.get(this.focused.detection);
    if (this.focused && line) line.querySelectorAll("button")[this.focused.place]?.focus();
    this.focused = null;
  }

  /** Make everything anew when it is drawn next. */
  forget() {
    for (const [detection, line] of this.lines) {
      const buttons = /** @type {NodeListOf<Element>} */ (line.querySelectorAll("button"));
      const place = [...buttons].indexOf(document.activeElement ?? line);
      if (place >= 0) this.focused = { detection, place };
    }
    this.buttons.clear();
    this.lines.clear();
    this.timeline.forget();
  }

  /** @param {Detection} detection */
  lineOf(detection) {
    let line = this.lines.get(detection);
    if (!line) {
      line = make("li", {}, this.makePick(detection), ...(editing.on?.judge(this, detection) ?? []));
      this.lines.set(detection, line);
    }
    return line;
  }

  /** @param {Detection} detection */
  makePick(detection) {
    const { start, end, label, score, right } = detection;
    const name = data.classes[label];
    const judged = right === null ? "" : right ? ", right" : ", wrong";
    const words = `Play ${name}, ${clock(start, 1)} to ${clock(end, 1)}, score ${scoreText(score)}${judged}`;
    const button = make(
      "button",
      { class: "pick", type: "button", "aria-label": words, onclick: () => this.playSegment(detection) },
      this.thumbs?.of(detection),
      make("i", { class: "dab", ...lookOf(label) }),
      make("span", { class: "what" }, name),
      make("span", { class: "when" }, `${clock(start, 1)} – ${clock(end, 1)}`),
      make("span", { class: "how" }, scoreText(score)),
      right === null ? null : make("span", { class: right ? "right" : "wrong" }, right ? "✓" : "✗"),
    );
    this.buttons.set(button, detection);
    return button;
  }

  /** @param {Segment} segment */
  playSegment(segment) {
    this.timeline.reveal(segment);
    this.player.playSegment(segment);
  }

  /** Show where the player is. */
  mark() {
    const { at, segment } = this.player;
    this.readout.textContent = `${clock(at, 1)} / ${clock(this.video.duration)}`;
    for (const [button, detection] of this.buttons) button.classList.toggle("on", detection === segment);
    this.timeline.mark();
    editing.on?.moved(this);
  }

  close() {
    editing.on?.closed(this);
    this.player.close();
    this.thumbs?.close();
    this.root.remove();
  }
}
