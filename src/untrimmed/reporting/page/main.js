/** Draws the page: the clusters to name, if there are any, and the list of videos. */

import { showClusters } from "./clusters.js";
import { data } from "./data.js";
import { openFirst, showList } from "./list.js";

showList();
showClusters();
// Where there are clusters to name, the page begins with those.
if (!data.clusters.length) openFirst();
