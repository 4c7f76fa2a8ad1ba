/** Numbers and times in words. */

/**
 * `m:ss` or `h:mm:ss`, with so many decimals.
 *
 * @param {number} seconds
 */
export function clock(seconds, digits = 0) {
  const rounded = Number(Math.max(seconds, 0).toFixed(digits));
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  const minutes = Math.floor(rounded / 60) % 60;
  const hours = Math.floor(rounded / 3600);
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/**
 * A whole number, its digits in groups of three.
 *
 * @param {number} value
 */
export function grouped(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** @param {number} score */
export function scoreText(score) {
  const plain = score === 0 || (Math.abs(score) >= 0.001 && Math.abs(score) < 1000);
  return plain ? score.toFixed(3) : score.toExponential(1);
}

/** @param {number} value */
export function threeDigits(value) {
  return String(Number(value.toPrecision(3)));
}

/**
 * `1 video`, `2 videos`.
 *
 * @param {number} count
 * @param {string} noun
 */
export function many(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * The file that a link leads to, as a person would write it.
 *
 * @param {string} link
 */
export function fileName(link) {
  try {
    return decodeURIComponent(link);
  } catch {
    return link; // a name that is not Unicode
  }
}

/**
 * Rows as CSV. What a spreadsheet would take for a formula gets an apostrophe; `untrimmed names` writes the same.
 *
 * @param {string[][]} rows
 */
export function csv(rows) {
  return rows.map((row) => `${row.map(csvField).join(",")}\n`).join("");
}

/** @param {string} text */
function csvField(text) {
  const safe = /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
