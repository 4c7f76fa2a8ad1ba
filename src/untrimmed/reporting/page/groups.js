/** What a person makes of the clusters: names, merged, split, rejected, videos moved; undone and redone. */

import { data } from "./data.js";
import { nextPlace } from "./order.js";

/** @typedef {{name: string, rejected: boolean}} Group */

/**
 * What a change sets: the clusters of some videos, and what is said of some clusters.
 *
 * @typedef {{videos: {[video: string]: string}, clusters: {[id: string]: Group}}} Delta
 * @typedef {{what: string, before: Delta, after: Delta, place: number}} GroupChange
 */

/**
 * What the votes of other videos say, see `reviewing/surest.py`: of a video how much they agree with its cluster, another cluster
 * that has more of them, and how many that one has.
 *
 * @typedef {{video: string[], start: number[], end: number[], score: number[]}} Surest
 * @typedef {{[id: string]: {agreement: number | null, surest: Surest}}} SureClusters
 * @typedef {{clusters: SureClusters, videos: {[video: string]: [number, string | null, number]}}} Sureness
 */

/** @returns {Group} */
function unnamed() {
  return { name: "", rejected: false };
}

class Groups {
  constructor() {
    /** @type {Map<string, Group>} */
    this.clusters = new Map(data.clusters.map(({ label }) => [data.classes[label], unnamed()]));
    /** @type {Map<string, string>} the cluster of each training video */
    this.videos = new Map(
      data.assigned.map(({ video, cluster }) => [video, data.classes[data.clusters[cluster].label]]),
    );
    this.found = new Map(this.videos);
    /** @type {Map<string, string[]> | null} */
    this.counted = null;
    /** @type {Sureness | null} */
    this.sure = null;
    /** @type {GroupChange[]} */
    this.done = [];
    /** @type {GroupChange[]} */
    this.undone = [];
    /** @type {() => void} called when they are others */
    this.changed = () => {};
    /** @type {(delta: Delta, what: string) => void} keeps a change for good */
    this.keep = () => {};
    /** @type {((id: string) => Promise<{videos: string[], trouble: string}>) | null} finds which videos would be another cluster */
    this.halfOf = null;
  }

  /** @param {string} id */
  of(id) {
    return this.clusters.get(id) ?? unnamed();
  }

  /** The videos of each cluster; counted once for each change. */
  get lists() {
    if (!this.counted) {
      /** @type {Map<string, string[]>} */
      const lists = new Map();
      for (const [video, id] of this.held) {
        const list = lists.get(id) ?? [];
        lists.set(id, list);
        list.push(video);
      }
      this.counted = lists;
    }
    return this.counted;
  }

  /** Each training video with its cluster; with each of them, where it holds several. @returns {[string, string][]} */
  get held() {
    if (!data.several) return [...this.videos];
    return data.assigned.map(({ video, cluster }) => [video, data.classes[data.clusters[cluster].label]]);
  }

  /** The clusters to show, by name: those with a video, and those that were only detected. */
  get ids() {
    const trained = new Set(data.several ? this.lists.keys() : this.found.values());
    const detected = data.clusters.map(({ label }) => data.classes[label]).filter((id) => !trained.has(id));
    return [...new Set([...this.lists.keys(), ...detected])].sort();
  }

  /** @param {string} id */
  members(id) {
    return this.lists.get(id) ?? [];
  }

  /**
   * @param {string} what in a few words
   * @param {Partial<Delta>} wanted
   */
  change(what, wanted) {
    /** @type {Delta} */
    const after = { videos: {}, clusters: {}, ...wanted };
    const before = this.now(after);
    this.done.push({ what, before, after, place: nextPlace() });
    this.undone = [];
    this.put(after, what);
  }

  /**
   * How what a change sets is now.
   *
   * @param {Delta} delta
   * @returns {Delta}
   */
  now(delta) {
    return {
      videos: Object.fromEntries(Object.keys(delta.videos).map((video) => [video, this.videos.get(video) ?? ""])),
      clusters: Object.fromEntries(Object.keys(delta.clusters).map((id) => [id, this.of(id)])),
    };
  }

  /**
   * @param {Delta} delta
   * @param {string} what
   */
  put(delta, what) {
    this.lay(delta);
    this.changed();
    this.keep(delta, what);
  }

  /** @param {Delta} delta */
  lay({ videos, clusters }) {
    this.counted = null;
    for (const [video, id] of Object.entries(videos)) this.videos.set(video, id);
    for (const [id, group] of Object.entries(clusters)) this.clusters.set(id, group);
  }

  /**
   * Take over what is kept, and lay over it what is not kept yet.
   *
   * @param {Delta & {votes?: Sureness | null}} kept
   * @param {Delta[]} pending
   */
  take(kept, pending) {
    this.lay(kept);
    for (const delta of pending) this.lay(delta);
    if (kept.votes !== undefined) this.sure = kept.votes;
    this.changed();
  }

  /** Undo the last change, but for what somebody else has changed since; returns it. */
  undo() {
    const change = this.done.pop();
    if (!change) return null;
    this.undone.push(change);
    this.put(this.stillAs(change.after, change.before), `undo: ${change.what}`);
    return change;
  }

  redo() {
    const change = this.undone.pop();
    if (!change) return null;
    this.done.push(change);
    this.put(this.stillAs(change.before, change.after), `redo: ${change.what}`);
    return change;
  }

  /**
   * Of what is wanted that which is as it was left.
   *
   * @param {Delta} left
   * @param {Delta} wanted
   * @returns {Delta}
   */
  stillAs(left, wanted) {
    const { videos, clusters } = this.now(left);
    const same = (/** @type {Group} */ a, /** @type {Group} */ b) => a.name === b.name && a.rejected === b.rejected;
    return {
      videos: Object.fromEntries(
        Object.entries(wanted.videos).filter(([video]) => videos[video] === left.videos[video]),
      ),
      clusters: Object.fromEntries(
        Object.entries(wanted.clusters).filter(([id]) => same(clusters[id], left.clusters[id])),
      ),
    };
  }

  // What a person does.

  /**
   * @param {string} id
   * @param {string} name "" for none
   */
  rename(id, name) {
    if (name === this.of(id).name) return;
    this.change(name ? `called ${id} ${name}` : `${id} has no name`, { clusters: { [id]: { ...this.of(id), name } } });
  }

  /** @param {string} id */
  reject(id) {
    const rejected = !this.of(id).rejected;
    this.change(`${rejected ? "rejected" : "no longer rejected"} ${id}`, {
      clusters: { [id]: { ...this.of(id), rejected } },
    });
  }

  /**
   * Put all videos of a cluster into another, which takes its name if it has none itself.
   *
   * @param {string} from
   * @param {string} into
   */
  merge(from, into) {
    const videos = Object.fromEntries(this.members(from).map((video) => [video, into]));
    const target = this.of(into);
    const clusters = target.name ? {} : { [into]: { ...target, name: this.of(from).name } };
    this.change(`merged ${from} into ${into}`, { videos, clusters });
  }

  /**
   * @param {string[]} videos
   * @param {string} into
   */
  move(videos, into) {
    const moved = videos.filter((video) => this.videos.has(video) && this.videos.get(video) !== into);
    if (!moved.length) return;
    const what = moved.length === 1 ? moved[0] : `${moved.length} videos`;
    this.change(`moved ${what} to ${into}`, { videos: Object.fromEntries(moved.map((video) => [video, into])) });
  }

  /**
   * Make a cluster of some videos of others, and return its name.
   *
   * @param {string[]} videos
   */
  splitOff(videos) {
    const taken = new Set([...this.clusters.keys(), ...this.videos.values()]);
    let number = taken.size;
    const named = () => `cluster_${String(number).padStart(2, "0")}`;
    while (taken.has(named())) number++;
    this.change(`split ${named()} off`, {
      videos: Object.fromEntries(videos.map((video) => [video, named()])),
      clusters: { [named()]: unnamed() },
    });
    return named();
  }
}

export const groups = new Groups();
