/** How a class is drawn. */

import { data } from "./data.js";

/**
 * The hue of a class, and its pattern where hues repeat.
 *
 * @param {number} label
 * @returns {import("./dom.js").Attributes}
 */
export function lookOf(label) {
  return { "--h": data.hues[label], "data-pattern": data.patterns[label] || null };
}
