/** Plots of attention and of the class activation sequence, over the time of a video. */

import { data } from "./data.js";
import { make, makeSvg } from "./dom.js";
import { threeDigits } from "./format.js";

/** @typedef {import("./data.js").Curves} Curves */
/** @typedef {import("./window.js").TimeWindow} TimeWindow */

/** A curve's lane: what stands beside it, and its plot with the bounds. @typedef {{side: Node[], content: Node[]}} CurveLane */

/**
 * The attention of all streams, or null where no stream has one.
 *
 * @param {Curves} curves
 * @param {TimeWindow} shown
 * @returns {CurveLane | null}
 */
export function attentionLane(curves, shown) {
  const levels = [...curves.streams.values()].map((stream) => stream.attention);
  if (levels.every((curve) => curve === null)) return null;
  const keys = [...curves.streams.keys()].map((name, i) =>
    make("span", { class: "key" }, make("i", { class: `s${i % 4}` }), name),
  );
  return {
    side: [make("b", {}, "Attention"), make("br"), ...keys],
    content: [
      plot(curves, shown, levels, "attention", "Attention over time"),
      boundText(threeDigits(data.scale.attention), "top"),
      boundText("0", "bottom"),
    ],
  };
}

/**
 * The class activation of all streams, with the choice of the class.
 *
 * @param {Curves} curves
 * @param {TimeWindow} shown
 * @param {number} label
 * @param {(label: number) => void} choose
 * @returns {CurveLane}
 */
export function activationLane(curves, shown, label, choose) {
  const place = Math.max(curves.classes.indexOf(label), 0);
  const name = data.classes[curves.classes[place]];
  const options = curves.classes.map((c, i) => make("option", { value: c, selected: i === place }, data.classes[c]));
  const select = make("select", { "aria-label": "Class whose activation is drawn" }, ...options);
  select.addEventListener("change", () => choose(Number(select.value)));
  const levels = [...curves.streams.values()].map((stream) => stream.logit[place]);
  const bounds = [...curves.streams.keys()].map((stream) => data.scale.logit[stream]);
  return {
    side: [make("b", {}, "Class activation"), select],
    content: [
      plot(curves, shown, levels, "activation", `Class activation of ${name} over time`),
      boundText(bounds.map(({ high }) => threeDigits(high)).join(" · "), "top"),
      boundText(bounds.map(({ low }) => threeDigits(low)).join(" · "), "bottom"),
    ],
  };
}

/**
 * @param {Curves} curves
 * @param {TimeWindow} shown
 * @param {(Uint8Array | null)[]} levels of each stream
 * @param {string} kind
 * @param {string} words
 */
function plot(curves, shown, levels, kind, words) {
  const paths = levels.map(
    (curve, i) => curve && makeSvg("path", { class: `s${i % 4}`, d: pathOf(curves, shown.duration, curve) }),
  );
  const viewBox = `${(1000 * shown.start) / shown.duration} 0 ${(1000 * shown.length) / shown.duration} 100`;
  const box = { viewBox, preserveAspectRatio: "none", role: "img", "aria-label": words, class: kind };
  return makeSvg("svg", box, ...paths);
}

/**
 * @param {string} text
 * @param {"top" | "bottom"} where
 */
function boundText(text, where) {
  return make("span", { class: `bound ${where}` }, text);
}

/**
 * The whole video is 1000 units wide.
 *
 * @param {Curves} curves
 * @param {number} duration
 * @param {Uint8Array} levels
 */
function pathOf({ start, step }, duration, levels) {
  const points = Array.from(levels, (level, i) => {
    const x = (1000 * (start + (i + 0.5) * step)) / duration;
    return `${Math.min(Math.max(x, 0), 1000).toFixed(1)} ${(97 - (94 * level) / 255).toFixed(1)}`;
  });
  return points.length === 1 ? `M0 ${points[0].split(" ")[1]}H1000` : `M${points.join("L")}`;
}
