/** A picture of each detection that is listed: the frame in its middle, drawn when it comes into sight. */

import { make } from "./dom.js";

/** @typedef {import("./data.js").Detection} Detection */

const THUMB_WIDTH = 128;
const THUMB_HEIGHT = 72;
/** Milliseconds that a frame may come after the end of its seek; none comes where it is shown already. */
const LATE = 300;

export class Thumbs {
  /** @param {string} address of the video */
  constructor(address) {
    this.address = address;
    /** @type {Map<Detection, HTMLCanvasElement>} those that are made stay, so that the list can be drawn again */
    this.made = new Map();
    /** @type {HTMLCanvasElement[]} those in sight, which wait for their frame */
    this.waiting = [];
    /** @type {Map<Element, number>} what each is to show, in seconds */
    this.times = new Map();
    /** @type {HTMLVideoElement | null} a player that is never seen */
    this.element = null;
    this.busy = false;
    this.failed = false;
    this.watch = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) this.want(target);
    });
  }

  /**
   * The picture of a detection, which is empty at first; null where the video cannot be played.
   *
   * @param {Detection} detection
   */
  of(detection) {
    if (this.failed) return null;
    let canvas = this.made.get(detection);
    if (!canvas) {
      canvas = make("canvas", { class: "thumb", "aria-hidden": "true" });
      [canvas.width, canvas.height] = [THUMB_WIDTH, THUMB_HEIGHT];
      this.made.set(detection, canvas);
      this.times.set(canvas, (detection.start + detection.end) / 2);
      this.watch.observe(canvas);
    }
    return canvas;
  }

  /** @param {Element} canvas */
  want(canvas) {
    if (!(canvas instanceof HTMLCanvasElement)) return;
    this.watch.unobserve(canvas);
    this.waiting.push(canvas);
    this.next();
  }

  next() {
    if (this.busy || this.failed) return;
    const canvas = this.waiting.shift();
    if (!canvas) return;
    this.busy = true;
    const element = this.open();
    const time = this.times.get(canvas) ?? 0;
    const paint = () => {
      if (this.failed) return; // it was closed meanwhile
      // A server that sends files only as a whole lets nobody jump within them.
      if (Math.abs(element.currentTime - Math.min(time, element.duration)) > 1) {
        this.fail();
        return;
      }
      const scale = Math.min(THUMB_WIDTH / element.videoWidth, THUMB_HEIGHT / element.videoHeight);
      const [width, height] = [element.videoWidth * scale, element.videoHeight * scale];
      const place = [(THUMB_WIDTH - width) / 2, (THUMB_HEIGHT - height) / 2];
      canvas.getContext("2d")?.drawImage(element, place[0], place[1], width, height);
      canvas.classList.add("drawn");
      this.busy = false;
      this.next();
    };
    whenShown(element, paint);
    element.currentTime = time;
  }

  open() {
    if (this.element) return this.element;
    this.element = make("video", { preload: "auto", playsinline: true });
    this.element.muted = true;
    this.element.addEventListener("error", () => this.fail());
    this.element.src = this.address;
    return this.element;
  }

  fail() {
    this.failed = true;
    for (const canvas of this.made.values()) canvas.remove();
    this.close();
  }

  close() {
    this.watch.disconnect();
    this.waiting = [];
    this.element?.removeAttribute("src");
    this.element = null;
    this.failed = true;
  }
}

/**
 * Call a function when the next seek has ended and its frame is there: a busy browser tells of the first before it has the second,
 * and draws nothing.
 *
 * @param {HTMLVideoElement} element
 * @param {() => void} then
 */
function whenShown(element, then) {
  const sought = new Promise((done) => element.addEventListener("seeked", done, { once: true }));
  const shown =
    "requestVideoFrameCallback" in element ? new Promise((done) => element.requestVideoFrameCallback(done)) : sought;
  const late = () => new Promise((done) => setTimeout(done, LATE));
  sought.then(() => Promise.race([shown, late()])).then(then);
}
