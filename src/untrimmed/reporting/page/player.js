/** The player of one video: goes to a time, plays a segment and stops or loops at its end, or says why it cannot. */

import { addressOf, data } from "./data.js";
import { make } from "./dom.js";
import { editing } from "./editing.js";
import { fileName } from "./format.js";
import { view } from "./view.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Media} Media */
/** @typedef {import("./data.js").Segment} Segment */

/** @type {Player | null} */
let playing = null;

export class Player {
  /**
   * @param {Video} video
   * @param {() => void} moved called when the time or the segment that is played is another
   */
  constructor(video, moved) {
    this.video = video;
    this.moved = moved;
    /** The time in seconds, also where no file is there to play. */
    this.at = 0;
    /** @type {Segment | null} the segment that is being played */
    this.segment = null;
    /** @type {Segment | null} the segment that was played last */
    this.last = null;
    /** @type {HTMLVideoElement | null} */
    this.element = null;
    /** @type {number | null} where the last jump was to lead */
    this.asked = null;
    this.closed = false;
    this.root = make("div", { class: "player" });
    this.tick = this.tick.bind(this);
    if (data.hasVideos) this.open(video.media);
  }

  /** @param {Media | null} media */
  open(media) {
    if (!media) {
      this.say(
        "No file of this video",
        "There was none with this name in the folder of videos when this page was written.",
      );
      return;
    }
    if (media.fault) {
      const file = make("code", {}, fileName(media.link));
      this.say("This file is not a video that can be read", `${media.fault}. The file: `, file);
      return;
    }
    if (editing.on && !media.plays) editing.on.copy(this, media);
    else this.attach(media);
  }

  /** @param {Media} media */
  attach(media) {
    const words = `Video ${this.video.id}`;
    const element = make("video", { controls: true, preload: "metadata", playsinline: true, "aria-label": words });
    element.addEventListener("error", () => this.failed(media));
    element.addEventListener("play", () => {
      if (playing !== this) playing?.pause();
      playing = this;
      requestAnimationFrame(this.tick);
    });
    element.addEventListener("timeupdate", () => this.follow());
    element.addEventListener("seeking", () => {
      // A seek by the player's own controls leaves the segment.
      if (this.segment && Math.abs(element.currentTime - this.segment.start) > 0.25) this.segment = null;
      this.follow();
    });
    element.addEventListener("seeked", () => this.checkJump(element));
    element.src = addressOf(media);
    this.element = element;
    this.root.append(element);
  }

  /** @param {Media} media */
  failed(media) {
    const file = make("code", {}, fileName(media.link));
    if (media.plays) {
      this.say("This video does not load", "The file is no longer at this place, or is damaged: ", file);
    } else {
      this.say(
        "This browser does not play this video",
        `It is ${media.holds}. Written again with `,
        make("code", {}, "--proxies"),
        ", this page comes with a small copy that browsers play. The file: ",
        file,
      );
    }
    this.element = null;
  }

  /**
   * @param {string} title
   * @param {...(string | Node)} text
   */
  say(title, ...text) {
    this.root.classList.add("broken");
    this.root.querySelector(".trouble")?.remove();
    this.root.append(make("p", { class: "trouble", role: "status" }, make("b", {}, title), ...text));
  }

  unsay() {
    this.root.classList.remove("broken");
    this.root.querySelector(".trouble")?.remove();
  }

  /**
   * A server that sends files only as a whole lets the player start nowhere but at zero.
   *
   * @param {HTMLVideoElement} element
   */
  checkJump(element) {
    const { asked } = this;
    this.asked = null;
    if (asked === null || Math.abs(element.currentTime - Math.min(asked, element.duration)) < 1) return;
    this.root.querySelector(".trouble")?.remove();
    const words =
      "It does not answer range requests; Python's http.server is one of those. Open the page as a file instead.";
    const title = make("b", {}, "The server of this page lets no player jump within a video");
    this.root.append(make("p", { class: "trouble above", role: "status" }, title, words));
  }

  pause() {
    this.element?.pause();
  }

  close() {
    this.closed = true;
    if (playing === this) playing = null;
    if (!this.element) return;
    this.element.pause();
    this.element.removeAttribute("src");
    this.element = null;
  }

  /**
   * Play on from a time.
   *
   * @param {number} start
   */
  playFrom(start) {
    this.segment = null;
    this.last = null;
    this.go(start);
  }

  /**
   * Stand at a time.
   *
   * @param {number} seconds
   */
  standAt(seconds) {
    this.segment = null;
    this.last = null;
    this.at = seconds;
    this.asked = seconds;
    if (this.element) this.element.currentTime = seconds;
    this.moved();
  }

  get runs() {
    return this.element !== null && !this.element.paused;
  }

  /**
   * Play a segment; at its end, stop or loop.
   *
   * @param {Segment} segment
   */
  playSegment(segment) {
    this.segment = segment;
    this.last = segment;
    this.go(segment.start);
  }

  /** @param {number} start */
  go(start) {
    this.at = start;
    this.asked = start;
    if (this.element) {
      this.element.currentTime = start;
      this.element.play().catch(() => {}); // what cannot play has said so already
    }
    this.moved();
  }

  tick() {
    this.follow();
    if (this.element && !this.element.paused) requestAnimationFrame(this.tick);
  }

  follow() {
    const { element, segment } = this;
    if (!element) return;
    this.at = element.currentTime;
    const atEnd = segment && (this.at >= segment.end || element.ended);
    if (atEnd && !element.seeking && !element.paused) {
      if (view.loop) element.currentTime = segment.start;
      else {
        this.segment = null;
        element.pause();
      }
    }
    this.moved();
  }
}
