/** Small copies of videos that browsers do not play, made by the server when they are looked at. */

import { ask } from "./server.js";

/** @typedef {import("./player.js").Player} Player */
/** @typedef {import("./data.js").Media} Media */

const COPY_EVERY = 500;

/**
 * Wait for the copy, say how far it is, and play it then.
 *
 * @param {Player} player
 * @param {Media} media
 */
export async function playCopy(player, media) {
  const path = `api/copy/${encodeURIComponent(player.video.id)}`;
  for (;;) {
    const { status, value, text } = await ask("POST", path).catch(() => ({ status: 0, value: null, text: "" }));
    if (player.closed) return;
    if (status !== 200 || value.state === "failed") {
      player.say("This browser does not play this video", `It is ${media.holds}. ${value?.words ?? text}`);
      return;
    }
    if (value.state === "done") {
      player.unsay();
      player.attach(media);
      player.standAt(player.at);
      return;
    }
    const far = value.state === "waiting" ? "another one is made first" : `${Math.round(100 * value.share)} %`;
    player.say("A small copy is being made", `Browsers do not play ${media.holds}: ${far}.`);
    await new Promise((resume) => setTimeout(resume, COPY_EVERY));
  }
}
