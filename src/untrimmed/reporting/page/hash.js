/** Links to a moment: `#video=ID&t=SECONDS`. */

import { data } from "./data.js";

/** @typedef {import("./data.js").Video} Video */

/**
 * @param {Video} video
 * @param {number} seconds
 */
export function linkTo(video, seconds) {
  return `#${new URLSearchParams({ video: video.id, t: String(Math.round(seconds * 100) / 100) })}`;
}

/**
 * The moment that the page's address leads to.
 *
 * @returns {{video: Video, seconds: number} | null}
 */
export function momentOfAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const video = data.videos.find(({ id }) => id === asked.get("video"));
  if (!video) return null;
  const seconds = Number(asked.get("t") ?? 0);
  return { video, seconds: Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), video.duration) : 0 };
}
