/** Clusters under review: each change goes to the server at once, and again until it has it. */

import { groups } from "./groups.js";
import { ask } from "./server.js";

/** @typedef {import("./groups.js").Delta} Delta */

/** Milliseconds until what could not be saved is tried again, and until it is asked again how sure the votes are. */
const KEEP_AGAIN = 2000;
const VOTES_EVERY = 1000;

export const keeper = {
  /** @type {{delta: Delta, what: string}[]} changes that the server does not have yet */
  pending: [],
  sending: false,
  trouble: "",
  /** @type {() => void} called when something is saved, or cannot be */
  told: () => {},
};

export async function keepAtServer() {
  groups.keep = (delta, what) => {
    keeper.pending.push({ delta, what });
    if (!keeper.sending) sendChanges();
  };
  groups.halfOf = halfOf;
  await loadClusters();
}

/** Take over what other tabs have made of them, and what the votes say. */
export async function loadClusters() {
  const { status, value } = await ask("GET", "api/clusters").catch(() => ({ status: 0, value: null }));
  if (status !== 200) return;
  takeClusters(value);
  if (value.voting) setTimeout(loadClusters, VOTES_EVERY);
}

/** @param {any} value */
function takeClusters(value) {
  groups.take(
    value,
    keeper.pending.map(({ delta }) => delta),
  );
}

async function sendChanges() {
  keeper.sending = true;
  while (keeper.pending.length) {
    keeper.told();
    const [{ delta, what }] = keeper.pending;
    const gone = () => ({ status: 0, value: null, text: "" });
    const { status, value, text } = await ask("POST", "api/clusters", { ...delta, what }).catch(gone);
    if (status === 200 || status === 400 || status === 413) {
      keeper.pending.shift();
      keeper.trouble = status === 200 ? "" : text;
      if (status === 200) takeClusters(value);
      else await loadClusters(); // it will not be taken later either
    } else {
      keeper.trouble = status === 0 ? "the server does not answer" : text;
      keeper.told();
      await new Promise((resume) => setTimeout(resume, KEEP_AGAIN));
    }
  }
  keeper.sending = false;
  keeper.told();
}

/**
 * The videos of a cluster that would be another one.
 *
 * @param {string} cluster
 * @returns {Promise<{videos: string[], trouble: string}>}
 */
async function halfOf(cluster) {
  const gone = () => ({ status: 0, value: null, text: "the server does not answer" });
  const { status, value, text } = await ask("POST", "api/clusters/split", { cluster }).catch(gone);
  return status === 200 ? { videos: value.videos, trouble: "" } : { videos: [], trouble: text };
}
