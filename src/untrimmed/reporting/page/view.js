/** What the reader has chosen to see: the words, the class, the order, the least score. */

import { data } from "./data.js";

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */

export const SLIDER_STEPS = 200;

/** All scores of a run, the surest first. Scores have no common range, so a run is looked at by their ranks. */
class Ranking {
  /** @param {Detection[][]} detections of each video */
  constructor(detections) {
    this.scores = detections.flatMap((list) => list.map((detection) => detection.score)).sort((a, b) => b - a);
    this.surest = this.scores[Math.floor(this.scores.length * 0.02)] ?? 1;
    this.faintest = this.scores[Math.floor(this.scores.length * 0.9)] ?? 0;
  }

  /**
   * The lowest of the `count` highest scores.
   *
   * @param {number} count
   */
  lowestOf(count) {
    return this.scores[Math.min(Math.max(count, 1), this.scores.length) - 1] ?? Number.NEGATIVE_INFINITY;
  }

  /**
   * How opaque a detection is drawn: the surer the fuller.
   *
   * @param {number} score
   */
  opacity(score) {
    if (this.surest <= this.faintest) return 1;
    return 0.18 + 0.82 * Math.min(1, Math.max(0, (score - this.faintest) / (this.surest - this.faintest)));
  }
}

export const ranking = new Ranking(data.videos.map((video) => video.detections));
export const rankingBeside = new Ranking(data.videos.map((video) => video.beside));

export const view = {
  text: "",
  /** @type {number | null} */
  label: null,
  /** @type {boolean | null} only detections that are right, or wrong */
  right: null,
  order: "name",
  picksByTime: false,
  slider: 0,
  least: Number.NEGATIVE_INFINITY,
  leastBeside: Number.NEGATIVE_INFINITY,
  loop: false,
};
moveSlider(firstPosition());

/**
 * How many detections the slider lets through: finer among the sure ones.
 *
 * @param {number} position
 */
function passing(position) {
  return Math.round(ranking.scores.length * (1 - position / SLIDER_STEPS) ** 2);
}

/** At first about five detections a video are shown, or as many as there is truth; the rest is one pull away. */
function firstPosition() {
  const truth = data.videos.reduce((sum, video) => sum + video.truth.length, 0);
  const enough = Math.max(5 * data.videos.length, truth);
  let position = 0;
  while (position < SLIDER_STEPS - 1 && passing(position) > enough) position++;
  return position;
}

/**
 * Let through what ranks high enough, and as many of the run beside it.
 *
 * @param {number} position
 */
export function moveSlider(position) {
  view.slider = position;
  const all = position <= 0;
  view.least = all ? Number.NEGATIVE_INFINITY : ranking.lowestOf(passing(position));
  view.leastBeside = all ? Number.NEGATIVE_INFINITY : rankingBeside.lowestOf(passing(position));
}

/** @param {Segment} segment */
export function ofChosenClass(segment) {
  return view.label === null || segment.label === view.label;
}

/**
 * How many of some detections, the surest first, have at least this score.
 *
 * @param {Detection[]} detections
 * @param {number} least
 */
export function countSurer(detections, least) {
  let [low, high] = [0, detections.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (detections[middle].score >= least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * @param {Detection[]} detections
 * @param {number} least
 */
function passingAmong(detections, least) {
  const surer = detections.slice(0, countSurer(detections, least));
  return view.label === null ? surer : surer.filter(ofChosenClass);
}

/**
 * The detections that the slider and the class let through, right or wrong; the surest first.
 *
 * @param {Video} video
 */
export function passingOf(video) {
  return passingAmong(video.detections, view.least);
}

/**
 * The same of the run beside it.
 *
 * @param {Video} video
 */
export function passingBeside(video) {
  return passingAmong(video.beside, view.leastBeside);
}

/**
 * Only right or only wrong ones, where that is asked for.
 *
 * @param {Detection[]} detections
 */
export function chosen(detections) {
  return view.right === null ? detections : detections.filter((detection) => detection.right === view.right);
}
