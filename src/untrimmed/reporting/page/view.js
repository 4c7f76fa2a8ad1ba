/** What the reader has chosen to see: the words, the class, the order, the least score. */

import { data } from "./data.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */

export const SLIDER_STEPS = 200;

// Scores have no common range, so the slider goes through their ranks: finer among the sure ones.
const ranked = data.videos.flatMap((video) => video.detections.map((detection) => detection.score));
ranked.sort((a, b) => b - a);

export const view = {
  text: "",
  /** @type {number | null} */
  label: null,
  order: "name",
  slider: firstPosition(),
  least: Number.NEGATIVE_INFINITY,
  loop: false,
};
view.least = leastScore(view.slider);

/**
 * How many detections the slider lets through.
 *
 * @param {number} position
 */
function passing(position) {
  return Math.round(ranked.length * (1 - position / SLIDER_STEPS) ** 2);
}

/**
 * The lowest score that the slider lets through.
 *
 * @param {number} position
 */
export function leastScore(position) {
  if (position <= 0 || !ranked.length) return Number.NEGATIVE_INFINITY;
  return ranked[Math.max(passing(position) - 1, 0)];
}

/** At first about five detections a video are shown, or as many as there is truth; the rest is one pull of the slider away. */
function firstPosition() {
  const enough = Math.max(
    5 * data.videos.length,
    data.videos.reduce((sum, video) => sum + video.truth.length, 0),
  );
  let position = 0;
  while (position < SLIDER_STEPS - 1 && passing(position) > enough) position++;
  return position;
}

const surest = ranked[Math.floor(ranked.length * 0.02)] ?? 1;
const faintest = ranked[Math.floor(ranked.length * 0.9)] ?? 0;

/**
 * How opaque a detection is drawn: the surer the fuller.
 *
 * @param {number} score
 */
export function opacity(score) {
  if (surest <= faintest) return 1;
  return 0.18 + 0.82 * Math.min(1, Math.max(0, (score - faintest) / (surest - faintest)));
}

/** @param {Segment} segment */
export function ofChosenClass(segment) {
  return view.label === null || segment.label === view.label;
}

/**
 * The detections that the slider and the class let through, the surest first.
 *
 * @param {Video} video
 */
export function shownOf(video) {
  return video.detections.filter((detection) => detection.score >= view.least && ofChosenClass(detection));
}
