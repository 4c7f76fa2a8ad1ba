/** What a page with editing adds to the drawing of a page: one place for it, so that what draws need not know what edits. */

/** @typedef {import("./data.js").Video} Video */
/** @typedef {import("./data.js").Segment} Segment */
/** @typedef {import("./data.js").Detection} Detection */
/** @typedef {import("./viewer.js").Viewer} Viewer */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./data.js").Media} Media */

/**
 * @typedef {object} Editing
 * @property {(video: Video) => Segment[]} segments that are marked, drawn as the truth is
 * @property {(video: Video) => string} tally what is marked, in few words; "" for nothing
 * @property {(video: Video) => number} worth how much a video is worth a look
 * @property {(viewer: Viewer) => HTMLElement} tools of an open video
 * @property {(timeline: Timeline) => {side: Node[], content: Node[]} | null} lane of the marks
 * @property {(viewer: Viewer, detection: Detection) => Node[]} judge buttons beside a detection in the list
 * @property {(video: Video, detection: Detection) => string} verdict "accepted", "rejected" or ""
 * @property {(viewer: Viewer) => void} moved its player is elsewhere, or plays something else
 * @property {(player: Player, media: Media) => void} copy makes a copy of what browsers do not play, and plays it
 * @property {(viewer: Viewer) => void} closed
 */

/** @type {{on: Editing | null}} null on a page that is only looked at */
export const editing = { on: null };
