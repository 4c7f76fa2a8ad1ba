/** What was found: for each class how many detections, in how many videos, and for how long. */

import { data } from "./data.js";
import { byId, make } from "./dom.js";
import { clock, grouped } from "./format.js";
import { lookOf } from "./look.js";
import { view } from "./view.js";

/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {{detections: number, videos: number, seconds: number}} Sums */

/** @type {Map<number, {row: HTMLElement, cells: HTMLElement[], button: HTMLElement}>} */
const lines = new Map();

/** @param {(label: number) => void} choose called for the class whose videos a reader wants to see */
export function makeSummary(choose) {
  if (data.hasTruth) return;
  const labels = new Set(data.videos.flatMap((video) => video.detections.map((detection) => detection.label)));
  for (const label of [...labels].sort((a, b) => a - b)) {
    const cells = [make("td"), make("td"), make("td")];
    const button = make("button", { type: "button", class: "plain" }, data.classes[label]);
    button.title = "show the videos that have it";
    button.addEventListener("click", () => choose(label));
    const head = make("th", { scope: "row" }, make("i", { class: "dab", ...lookOf(label) }), button);
    lines.set(label, { row: make("tr", {}, head, ...cells), cells, button });
  }
  byId("class-rows").append(...[...lines.values()].map(({ row }) => row));
}

let waiting = 0;

/** Count again what the slider lets through, when it stands still. */
export function countSummary() {
  clearTimeout(waiting);
  if (lines.size) waiting = setTimeout(count, 100);
}

function count() {
  const sums = sumsByClass();
  for (const [label, { cells, button }] of lines) {
    const { detections, videos, seconds } = sums.get(label) ?? { detections: 0, videos: 0, seconds: 0 };
    const texts = [grouped(detections), `${grouped(videos)} of ${grouped(data.videos.length)}`, clock(seconds)];
    cells.forEach((cell, i) => {
      cell.textContent = texts[i];
    });
    button.setAttribute("aria-pressed", String(view.label === label));
  }
}

/** @returns {Map<number, Sums>} */
function sumsByClass() {
  /** @type {Map<number, Sums>} */
  const sums = new Map();
  for (const video of data.videos) {
    /** @type {Map<number, Segment[]>} */
    const byClass = new Map();
    for (const detection of video.detections) {
      if (detection.score < view.least) break; // the surest come first
      const list = byClass.get(detection.label) ?? [];
      byClass.set(detection.label, list);
      list.push(detection);
    }
    for (const [label, segments] of byClass) {
      const sum = sums.get(label) ?? { detections: 0, videos: 0, seconds: 0 };
      sums.set(label, sum);
      sum.detections += segments.length;
      sum.videos += 1;
      sum.seconds += covered(segments);
    }
  }
  return sums;
}

/**
 * Seconds that some segment covers; what two of them cover counts once.
 *
 * @param {Segment[]} segments
 */
function covered(segments) {
  let seconds = 0;
  let reached = Number.NEGATIVE_INFINITY;
  for (const { start, end } of [...segments].sort((a, b) => a.start - b.start)) {
    seconds += Math.max(0, end - Math.max(start, reached));
    reached = Math.max(reached, end);
  }
  return seconds;
}
