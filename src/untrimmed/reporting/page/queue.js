/** Which video is worth a look next, and how many are left. */

import { data } from "./data.js";
import { marks } from "./marks.js";

/** @typedef {import("./data.js").Look} Look */

const looks = data.review?.queue ?? [];
const lookOfVideo = new Map(looks.map((look) => [look.video, look]));

/** The videos that are not checked, the one most worth a look first. */
export function left() {
  return looks.filter(({ video }) => !marks.of(video).checked);
}

/**
 * The next one to look at after this one.
 *
 * @param {string | null} current
 * @returns {Look | null}
 */
export function nextAfter(current) {
  const waiting = left();
  const place = looks.findIndex(({ video }) => video === current);
  const behind = waiting.find((look) => looks.indexOf(look) > place);
  return behind ?? waiting.find(({ video }) => video !== current) ?? null;
}

/**
 * How much a video is worth a look; one that is checked is worth none.
 *
 * @param {string} id
 */
export function worthOf(id) {
  return marks.of(id).checked ? -1 : (lookOfVideo.get(id)?.worth ?? 0);
}
