/** Train a student on what is marked, and say what it changed. */

import { bestTiou, data, RIGHT_TIOU } from "./data.js";
import { make } from "./dom.js";
import { many } from "./format.js";
import { orderBy, whenShownChanges } from "./list.js";
import { marks } from "./marks.js";
import { ask } from "./server.js";
import { passingBeside, passingOf } from "./view.js";

const TEACH_EVERY = 1000;

/** Milliseconds that the slider stands still until it is counted what the student changed. */
const COUNT_AFTER = 150;

const button = make("button", { type: "button", class: "main" }, "Teach");
const cancel = make("button", { type: "button", hidden: true }, "cancel");
const bar = make("progress", { max: 1, hidden: true, "aria-label": "Teaching" });
const said = make("span", { class: "said", role: "status" });

/** Whether anything is marked that a student can learn from. */
export function countTeachable() {
  const taught = [...marks.here.values()].filter(
    ({ annotations, points, rejected, checked }) => annotations.length + points.length + rejected.length || checked,
  );
  button.textContent = taught.length ? `Teach from ${many(taught.length, "video")}` : "Teach";
  button.disabled = taught.length === 0;
}

/** @returns {Node} */
export function makeTeaching() {
  if (!data.review?.run) {
    const words = "To teach from these marks, review the run: untrimmed review RUN";
    return make("span", { class: "said" }, words);
  }
  button.title = `train a student of ${data.review.run} on what is marked`;
  button.addEventListener("click", () => askAndShow("POST"));
  cancel.addEventListener("click", () => askAndShow("DELETE"));
  countTeachable();
  askTeaching("GET").then((answer) => {
    if (answer.value?.state === "running") show(answer);
  });
  return make("span", { class: "teach" }, button, bar, cancel, said);
}

/**
 * The answer to a question about the teaching; of status 0 where the server gives none.
 *
 * @param {"GET" | "POST" | "DELETE"} method
 */
function askTeaching(method) {
  return ask(method, "api/teach").catch(() => ({ status: 0, value: null, text: "" }));
}

/** @param {"GET" | "POST" | "DELETE"} method */
async function askAndShow(method) {
  show(await askTeaching(method));
}

/** @param {{status: number, value: any, text: string}} answer */
function show({ status, value, text }) {
  if (status === 0 && button.hidden) setTimeout(look, TEACH_EVERY); // it may go on, and answer later
  const running = status === 200 ? value.state === "running" : status === 0 && button.hidden;
  button.hidden = running;
  cancel.hidden = !running;
  bar.hidden = !running;
  if (status !== 200) said.textContent = text || "the server does not answer";
  else if (running) {
    if (value.share > 0) bar.value = value.share;
    else bar.removeAttribute("value");
    said.textContent = "a student learns from your marks; go on meanwhile";
    setTimeout(look, TEACH_EVERY);
  } else if (value.state === "failed") said.textContent = value.words;
  else if (value.state === "cancelled") said.textContent = "cancelled; nothing is left of it";
  else if (value.state === "done") {
    const again = make("button", { type: "button", class: "main" }, "Show what it changed");
    again.addEventListener("click", () => location.reload());
    said.replaceChildren("the student is ready ", again);
  }
}

function look() {
  askAndShow("GET");
}

/**
 * What the student found that its teacher did not, and the other way round, among what the slider lets through.
 *
 * @returns {HTMLElement | null}
 */
export function makeChanges() {
  if (!data.runs) return null;
  const first = make("button", { type: "button", class: "plain" }, "show those first");
  first.addEventListener("click", () => orderBy("different"));
  const counted = make("span");
  let waiting = 0;
  whenShownChanges(() => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      counted.textContent = changesInWords();
    }, COUNT_AFTER);
  });
  return make("p", { class: "changes", role: "status" }, counted, " ", first);
}

function changesInWords() {
  let [anew, gone, videos] = [0, 0, 0];
  for (const video of data.videos) {
    const [ours, theirs] = [passingOf(video), passingBeside(video)];
    const fresh = ours.filter((detection) => bestTiou(detection, theirs) < RIGHT_TIOU).length;
    const lost = theirs.filter((detection) => bestTiou(detection, ours) < RIGHT_TIOU).length;
    anew += fresh;
    gone += lost;
    if (fresh + lost) videos++;
  }
  return `Taught: of the detections shown, ${anew} are new and ${gone} are gone, in ${many(videos, "video")}`;
}
