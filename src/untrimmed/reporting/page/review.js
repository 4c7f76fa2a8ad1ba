/** The page as `untrimmed review` serves it. */

import { openFirst, openMoment, showList } from "./list.js";

showList();
window.addEventListener("hashchange", openMoment);
if (!openMoment()) openFirst();
