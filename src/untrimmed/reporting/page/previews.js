/** Segments of clusters, played over and over while they can be seen. */

import { addressOf, data } from "./data.js";
import { make } from "./dom.js";
import { clock, scoreText } from "./format.js";
import { lookOf } from "./look.js";
import { share } from "./timeline.js";

/** @typedef {import("./data.js").Typical} Typical */

const MOST_PLAYING = 12;
const still = window.matchMedia("(prefers-reduced-motion: reduce)");
/** @type {Set<Preview>} */
const previews = new Set();
/** @type {IntersectionObserver[]} that follow what is near, and what is seen; none as long as nobody watches */
let watching = [];

export class Preview {
  /**
   * @param {Typical} typical
   * @param {() => void} open shows the segment among the videos
   */
  constructor({ video, segment }, open) {
    const { start, end, label, score } = segment;
    this.segment = segment;
    this.seen = false;
    this.hovered = false;
    /** @type {HTMLVideoElement | null} */
    this.element = null;
    this.link = "";
    const when = `${clock(start, 1)} to ${clock(end, 1)}`;
    const words = `${video.id}, ${when}, score ${scoreText(score)}: show it among the videos below`;
    const mark = make("i", { left: share(start, video), width: share(end - start, video), ...lookOf(label) });
    const range = `${clock(start, 1)} – ${clock(end, 1)}`;
    this.root = make(
      "button",
      { class: "preview", type: "button", title: words, "aria-label": words, onclick: open },
      make("span", { class: "strip", "aria-hidden": "true" }, mark),
      make("span", { class: "where" }, make("span", {}, video.id), make("span", {}, range)),
    );
    if (data.hasVideos && video.media && !video.media.fault) this.addVideo(addressOf(video.media));
    previews.add(this);
    for (const watch of watching) watch.observe(this.root);
  }

  close() {
    previews.delete(this);
    for (const watch of watching) watch.unobserve(this.root);
    this.unload();
    this.element = null;
    this.root.remove();
  }

  /** @param {string} link */
  addVideo(link) {
    const quiet = { muted: true, playsinline: true, preload: "none", tabindex: "-1", "aria-hidden": "true" };
    const element = make("video", quiet);
    element.muted = true; // the attribute alone does not count for an element made by a script
    element.addEventListener("loadedmetadata", () => this.again());
    element.addEventListener("ended", () => this.again());
    element.addEventListener("error", () => this.gone());
    this.root.prepend(element);
    this.element = element;
    this.link = link;
    const hover = (/** @type {boolean} */ on) => () => {
      this.hovered = on;
      playPreviews();
    };
    this.root.addEventListener("pointerenter", hover(true));
    this.root.addEventListener("pointerleave", hover(false));
    this.root.addEventListener("focus", hover(true));
    this.root.addEventListener("blur", hover(false));
  }

  load() {
    if (!this.element || this.element.hasAttribute("src")) return;
    this.element.preload = "auto";
    this.element.src = this.link;
  }

  unload() {
    if (!this.element?.hasAttribute("src")) return;
    this.element.pause();
    this.element.removeAttribute("src");
    this.element.load();
  }

  gone() {
    if (!this.element?.hasAttribute("src")) return;
    this.element.remove();
    this.element = null;
  }

  /** @param {boolean} on */
  run(on) {
    if (!this.element) return;
    if (!on) {
      this.element.pause();
      return;
    }
    this.load();
    this.start();
  }

  start() {
    if (this.element?.paused) this.element.play().catch(() => {});
  }

  /** Go to the start of the segment; what has ended plays again. */
  again() {
    if (!this.element) return;
    const { ended } = this.element;
    this.element.currentTime = this.segment.start;
    if (ended) this.start();
  }

  follow() {
    const { element, segment } = this;
    if (!element || element.paused || element.seeking) return;
    if (element.currentTime >= segment.end || element.currentTime < segment.start - 0.25) this.again();
  }
}

function playPreviews() {
  let playing = 0;
  for (const preview of previews) {
    const on =
      preview.element !== null && (preview.hovered || (preview.seen && !still.matches && playing < MOST_PLAYING));
    if (on) playing++;
    preview.run(on);
  }
}

function followPreviews() {
  for (const preview of previews) preview.follow();
  requestAnimationFrame(followPreviews);
}

/** Files are opened as they come near, played while they are seen, and let go of far away. */
export function watchPreviews() {
  const previewOf = (/** @type {Element} */ root) => [...previews].find((preview) => preview.root === root);
  const near = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) previewOf(target)?.load();
        else previewOf(target)?.unload();
      }
    },
    { rootMargin: "500px" },
  );
  const seen = new IntersectionObserver(
    (entries) => {
      for (const { target, intersectionRatio } of entries) {
        const preview = previewOf(target);
        if (preview) preview.seen = intersectionRatio >= 0.5;
      }
      playPreviews();
    },
    { threshold: 0.5 },
  );
  watching = [near, seen];
  for (const preview of previews) for (const watch of watching) watch.observe(preview.root);
  still.addEventListener("change", playPreviews);
  if (data.hasVideos) requestAnimationFrame(followPreviews);
}
