/** The order of changes that can be undone, whatever they are about. */

let count = 0;

/** The place of a new change. */
export function nextPlace() {
  count += 1;
  return count;
}
