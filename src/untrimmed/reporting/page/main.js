/** Draws the page: the clusters to name and mend, if there are any, and the list of videos. */

import { showClusters } from "./clusters.js";
import { data } from "./data.js";
import { keepInBrowser } from "./keepinpage.js";
import { openFirst, openMoment, showList } from "./list.js";

showList();
if (data.clusters.length) keepInBrowser();
showClusters({ save: true });
window.addEventListener("hashchange", openMoment);
// Where there are clusters to name, the page begins with those.
if (!openMoment() && !data.clusters.length) openFirst();
