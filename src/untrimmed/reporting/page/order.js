/** The order of changes that can be undone, whatever they are about. */

let changeCount = 0;

/** The place of a new change. */
export function nextPlace() {
  changeCount += 1;
  return changeCount;
}
