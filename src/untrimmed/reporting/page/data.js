/** The page's data: the JSON in it, its columns made into objects. `page.py` writes it. */

import { byId } from "./dom.js";

/**
 * Times in seconds on the player's clock; the label is the class's place in `data.classes`.
 *
 * @typedef {{start: number, end: number, label: number}} Segment
 */

/**
 * `right` says whether it finds a true segment: null where the video has no annotations.
 *
 * @typedef {Segment & {score: number, right: boolean | null}} Detection
 */

/**
 * Where a video lies, what it holds, and why it cannot be read, if it cannot.
 *
 * @typedef {{link: string, holds: string, plays: boolean, fault: string | null}} Media
 */

/**
 * Curves of one stream: levels of 0 to 255 between the bounds in `data.scale`, a class's in the order of `Curves.classes`.
 *
 * @typedef {{attention: Uint8Array | null, logit: Uint8Array[]}} StreamCurves
 */

/**
 * The first value stands for `start` to `start + step`, in seconds, and so on; the surest class comes first.
 *
 * @typedef {{start: number, step: number, classes: number[], streams: Map<string, StreamCurves>}} Curves
 */

/**
 * @typedef {object} Video
 * @property {string} id
 * @property {number} duration in seconds
 * @property {boolean} annotated
 * @property {Segment[]} truth in order of time
 * @property {Detection[]} detections the surest first
 * @property {Detection[]} beside those of the run beside this one
 * @property {number} more detections that are left out of the page
 * @property {Media | null} media
 * @property {Curves | null} curves
 */

/**
 * A cluster of videos: how many training videos and detections it has, and its most typical segments.
 *
 * @typedef {{video: Video, segment: Detection}} Typical
 * @typedef {{label: number, videos: number, detections: number, typical: Typical[]}} Cluster
 */

/** @typedef {{low: number, high: number}} Bounds */

/**
 * What `untrimmed review` tells: the labels that marks may have, which of them the run knows, frames per second, which videos are
 * worth a look, and why, the run that can be taught, the files of the marks and of the clusters, and whether it can split these.
 *
 * @typedef {{video: string, worth: number, why: string}} Look
 * @typedef {{annotations: string, clusters: string, splits: boolean, run: string | null}} ReviewFiles
 * @typedef {{labels: string[], known: string[], fps: {[video: string]: number}, queue: Look[]} & ReviewFiles} Review
 */

/**
 * @typedef {object} PageData
 * @property {string[]} classes
 * @property {number[]} hues of the classes, in degrees
 * @property {number[]} patterns of the classes: 0 plain, 1 and 2 striped, where hues repeat
 * @property {boolean} hasTruth
 * @property {boolean} hasVideos
 * @property {{attention: number, logit: {[stream: string]: Bounds}}} scale bounds that all videos' curves share
 * @property {{shown: string, beside: string} | null} runs the names of two runs side by side
 * @property {number} mostDetections that the page keeps of a video
 * @property {Video[]} videos by name
 * @property {Cluster[]} clusters
 * @property {{video: string, cluster: number}[]} assigned the training videos by name, with their cluster's place
 * @property {boolean} several whether a video may hold several clusters, which can then only be named and rejected
 * @property {Review | null} review what a page with editing needs to know
 * @property {string[]} noAction names that stand for "surely no action"
 */

/**
 * Where the player finds a video: a server wants the token that is in the page's own address.
 *
 * @param {Media} media
 */
export function addressOf(media) {
  return data.review ? media.link + location.search : media.link;
}

/**
 * The place of a class among the page's, to which one is added that it does not know yet.
 *
 * @param {string} label
 */
export function placeOf(label) {
  const known = data.classes.indexOf(label);
  if (known >= 0) return known;
  data.classes.push(label);
  data.hues.push((20 + 137.508 * data.classes.length) % 360);
  data.patterns.push(0);
  return data.classes.length - 1;
}

/** How much a detection must overlap a true segment of its class to find it. */
export const RIGHT_TIOU = 0.5;

export const data = readData(JSON.parse(byId("data").textContent ?? ""));

/**
 * @param {any} json
 * @returns {PageData}
 */
function readData(json) {
  /** @type {Video[]} */
  const videos = json.videos.map(readVideo);
  const clusters = json.clusters.map((/** @type {any} */ cluster) => ({
    ...cluster,
    typical: rowsOf(cluster.typical).map(({ video, ...segment }) => ({ video: videos[video], segment })),
  }));
  const assigned = rowsOf(json.assigned);
  const several = new Set(assigned.map(({ video }) => video)).size < assigned.length;
  return { ...json, videos, clusters, assigned, several };
}

/**
 * @param {any} json
 * @returns {Video}
 */
function readVideo(json) {
  const truth = rowsOf(json.truth);
  const detections = rowsOf(json.detections);
  /** @type {Curves | null} */
  let curves = null;
  const beside = json.beside ? rowsOf(json.beside) : [];
  for (const list of [detections, beside]) judge(list, json.annotated ? truth : null);
  return {
    ...json,
    truth,
    detections,
    beside,
    media: json.media ?? null,
    // Unpacked when the video is opened: those of a thousand videos would take a second.
    get curves() {
      curves ??= json.curves ? readCurves(json.curves) : null;
      return curves;
    },
  };
}

/**
 * Greedy matching: from the surest on, each takes the true segment that it overlaps most, and none is taken twice.
 *
 * @param {Detection[]} detections
 * @param {Segment[] | null} truth
 */
function judge(detections, truth) {
  const free = new Set(truth);
  for (const detection of detections) {
    detection.right = truth ? false : null;
    const overlap = bestTiou(detection, [...free]);
    if (overlap < RIGHT_TIOU) continue;
    for (const segment of free) {
      if (segment.label !== detection.label || tiou(segment, detection) < overlap) continue;
      free.delete(segment);
      detection.right = true;
      break;
    }
  }
}

/**
 * @param {any} json
 * @returns {Curves}
 */
function readCurves(json) {
  const streams = new Map();
  for (const [name, packed] of Object.entries(json.streams)) {
    const attention = packed.attention === null ? null : bytesOf(packed.attention);
    streams.set(name, { attention, logit: packed.logit.map(bytesOf) });
  }
  return { ...json, streams };
}

/**
 * Columns `{name: [value of each row]}` as one object per row.
 *
 * @param {{[name: string]: any[]}} columns
 * @returns {any[]}
 */
function rowsOf(columns) {
  const names = Object.keys(columns);
  return columns[names[0]].map((_, i) => Object.fromEntries(names.map((name) => [name, columns[name][i]])));
}

/** @param {string} base64 */
function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

/**
 * Temporal intersection over union.
 *
 * @param {Segment} a
 * @param {Segment} b
 */
export function tiou(a, b) {
  const inside = Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
  const union = a.end - a.start + (b.end - b.start) - inside;
  return union > 0 ? inside / union : 0;
}

/**
 * The highest tIoU of a segment with one of the same class.
 *
 * @param {Segment} segment
 * @param {Segment[]} others
 */
export function bestTiou(segment, others) {
  return others.reduce((top, other) => (other.label === segment.label ? Math.max(top, tiou(segment, other)) : top), 0);
}
