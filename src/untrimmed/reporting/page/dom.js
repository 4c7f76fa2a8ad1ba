/** Elements. All text is set as text, never as markup. */

/** @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Attribute */
/** @typedef {{[name: string]: Attribute}} Attributes */
/** @typedef {Node | string | null | undefined | false} Child */

const STYLES = new Set(["left", "width", "top"]);

/**
 * An element with its attributes, listeners (`onclick`), styles (`left`, `--h`) and children; null among those is left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice("on".length), value);
    else if (value === false || value === null || value === undefined) continue;
    else if (name.startsWith("--") || STYLES.has(name)) element.style.setProperty(name, String(value));
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...present(children));
  return element;
}

/**
 * Give an element these children; those that stay where they are are not touched, since drawing them anew takes time.
 *
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function setChildren(parent, wanted) {
  const staying = new Set(wanted);
  for (const child of [...parent.children]) if (!staying.has(child)) child.remove();
  let next = parent.firstElementChild;
  for (const child of wanted) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}

/**
 * @param {"svg" | "path"} tag
 * @param {{[name: string]: string}} attributes
 * @param {...Child} children
 * @returns {SVGElement}
 */
export function makeSvg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...present(children));
  return element;
}

/** @param {Child[]} children */
function present(children) {
  return children.filter((child) => child !== null && child !== undefined && child !== false);
}

/**
 * The page's own element of this id.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element;
}

/**
 * The page's own button of this id.
 *
 * @param {string} id
 * @returns {HTMLButtonElement}
 */
export function buttonOf(id) {
  return /** @type {HTMLButtonElement} */ (byId(id));
}

/**
 * Save a text as a file of the reader.
 *
 * @param {string} name
 * @param {string} text
 */
export function saveFile(name, text) {
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
