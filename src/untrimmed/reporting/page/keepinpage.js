/** Clusters of a page in a file: the browser keeps what was made of them, so that it is there when the page is opened again. */

import { data } from "./data.js";
import { groups } from "./groups.js";

/** Of the clusters that this page is about, whatever the file is called. */
function keyOfClusters() {
  let hash = 0;
  for (const character of JSON.stringify(data.assigned)) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0;
  return `untrimmed clusters ${hash >>> 0}`;
}

export function keepInBrowser() {
  const key = keyOfClusters();
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "null");
    if (kept) groups.take(kept, []);
  } catch {
    return; // a browser that keeps nothing for this page, or another program's value
  }
  groups.keep = () => {
    const { videos, clusters } = groups;
    localStorage.setItem(
      key,
      JSON.stringify({ videos: Object.fromEntries(videos), clusters: Object.fromEntries(clusters) }),
    );
  };
}
