/** Everything by keyboard. */

import { data } from "./data.js";
import { make } from "./dom.js";

/** @typedef {import("./edit.js").Editor} Editor */

/** Seconds that J goes back. */
const BACK = 2;

/** What each key does, as the page lists it. */
const HELP = [
  ["Space", "play, pause"],
  ["J K L", "back 2 s, pause, play (again: faster)"],
  [", .", "a frame back, on"],
  ["N B", "next detection, the one before"],
  ["A X", "accept, reject the detection"],
  ["I O", "a segment begins, ends at the playhead"],
  ["P", "one point at the playhead"],
  ["[ ]", "set an edge of the chosen mark to the playhead"],
  ["S M Del", "split, merge with the next, delete"],
  ["1 … 9 0", "class; a new class"],
  ["E C", "none of it; checked"],
  ["W Esc", "write a note; done with it"],
  ["+ − F", "zoom in, out, the whole video"],
  ["Z", "zoom to the segment"],
  ["Shift ← →", "move the time axis along"],
  ["U, Ctrl Z", "undo"],
  ["Y, Ctrl Y", "redo"],
  ["Q", "next video worth a look"],
];

export function makeKeyHelp() {
  const rows = HELP.flatMap(([keys, words]) => [
    make("dt", {}, ...keys.split(" ").map((key) => make("kbd", {}, key))),
    make("dd", {}, words),
  ]);
  return make("details", { class: "keys" }, make("summary", {}, "Keys"), make("dl", {}, ...rows));
}

/**
 * @param {() => Editor | null} current
 * @param {{undo: () => void, redo: () => void, next: () => void}} more
 */
export function listenToKeys(current, more) {
  document.addEventListener("keydown", (event) => {
    if (isTyping(event) || event.defaultPrevented) return;
    const key = event.key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && !event.altKey) {
      if (key === "y" || (key === "z" && event.shiftKey)) more.redo();
      else if (key === "z") more.undo();
      else return;
    } else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key === "u") more.undo();
    else if (key === "y") more.redo();
    else if (key === "q") more.next();
    else {
      const editor = current();
      if (!editor) return;
      if (!act(editor, key, event)) {
        editor.viewer.timeline.pressed(event);
        return;
      }
    }
    event.preventDefault();
  });
}

/** @param {KeyboardEvent} event */
function isTyping({ target }) {
  if (target instanceof HTMLInputElement) return target.type !== "checkbox" && target.type !== "range";
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

/**
 * Do what a key says, and tell whether it says anything.
 *
 * @param {Editor} editor
 * @param {string} key
 * @param {KeyboardEvent} event
 */
function act(editor, key, event) {
  const { player } = editor.viewer;
  /** @type {{[key: string]: () => void}} */
  const actions = {
    j: () => player.standAt(Math.max(player.at - BACK, 0)),
    k: () => player.pause(),
    l: () => faster(player),
    ",": () => editor.stepFrame(-1),
    ".": () => editor.stepFrame(1),
    n: () => editor.walk(1),
    b: () => editor.walk(-1),
    a: () => editor.accept(),
    x: () => editor.reject(),
    i: () => editor.begin(),
    o: () => editor.end(),
    p: () => editor.addPoint(editor.at),
    "[": () => editor.moveEdge("start", player.at),
    "]": () => editor.moveEdge("end", player.at),
    s: () => editor.split(),
    m: () => editor.merge(),
    delete: () => editor.remove(),
    backspace: () => editor.remove(),
    e: () => editor.empty(),
    0: () => editor.askForClass(),
    c: () => editor.check(!editor.checked.checked),
    w: () => editor.note.focus(),
  };
  if (key === " ") {
    // On other buttons Space presses them, as everywhere; a player in focus plays and pauses by itself.
    if (event.target instanceof HTMLElement && event.target.matches("button:not(.bar, .pick), summary, input, video"))
      return false;
    if (player.runs) player.pause();
    else play(player, 1);
    return true;
  }
  const label = data.review?.labels[Number(key) - 1];
  if (label !== undefined) editor.relabel(data.classes.indexOf(label));
  else if (Object.hasOwn(actions, key)) actions[key]();
  else return false;
  return true;
}

/** @typedef {import("./player.js").Player} Player */

/**
 * @param {Player} player
 * @param {number} rate
 */
function play(player, rate) {
  const { element } = player;
  if (!element) return;
  element.playbackRate = rate;
  element.play().catch(() => {}); // what cannot play has said so already
}

/** @param {Player} player */
function faster(player) {
  play(player, player.runs && player.element ? Math.min(player.element.playbackRate * 2, 8) : 1);
}
