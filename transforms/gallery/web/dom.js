/* Elements and text. Foreign text only ever becomes a text node or an attribute that cannot run or load anything. */

/** @import { Attributes, Child } from "./types" */

/* A page narrower than this is laid out for a phone. */
export const NARROW_PX = 640;

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

/**
 * The element with an id, which exists; `Kind` is its class, where more than an HTMLElement is asked of it.
 *
 * @type {{ (id: string): HTMLElement; <T extends HTMLElement>(id: string, Kind: new () => T): T }}
 */
export const byId = (/** @type {string} */ id, Kind = HTMLElement) => {
  const node = document.getElementById(id);
  if (!(node instanceof Kind)) throw new Error(`there is no ${Kind.name} #${id}`);
  return node;
};

/**
 * A new element; attributes that are null or false are left out, children that are strings become text.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {(Child | Child[])[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false)
      node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/**
 * Text from the data: isolated, so that right-to-left marks in it do not rearrange its surroundings.
 *
 * @param {unknown} text
 * @param {string | null} className
 */
export function foreign(text, className = null) {
  return element("bdi", { class: className }, String(text));
}

/**
 * A button with a handler.
 *
 * @param {Child} label
 * @param {(event: MouseEvent) => void} onClick
 * @param {Attributes} attributes
 */
export function button(label, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", onClick);
  return node;
}

/**
 * A line drawing of 16 x 16 units, for buttons that carry their name in aria-label.
 *
 * @param {string} path
 */
export function icon(path) {
  const svg = document.createElementNS(SVG_NAMESPACE, "svg");
  const line = document.createElementNS(SVG_NAMESPACE, "path");
  for (const [name, value] of [
    ["viewBox", "0 0 16 16"],
    ["class", "icon"],
    ["aria-hidden", "true"],
  ]) {
    svg.setAttribute(name, value);
  }
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

export const ICONS = {
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  check: "M3 8.5l3.5 3.5L13 4.5",
  swap: "M3 5.5h9.5L10 3M13 10.5H3.5L6 13",
};

/**
 * A path relative to the output directory, as the page's browser needs it.
 *
 * @param {string} path
 */
export function outputPath(path) {
  return "../" + path.split("/").map(encodeURIComponent).join("/");
}

/**
 * A picture of the output directory; one that is missing says so instead of showing a broken frame.
 *
 * @param {string} path
 * @param {string} alt
 * @param {Attributes} attributes
 */
export function picture(path, alt, attributes = {}) {
  const image = element("img", { alt, decoding: "async", draggable: "false", ...attributes });
  image.addEventListener("error", () => image.classList.add("missing"), { once: true });
  image.src = outputPath(path);
  return image;
}

export const thumbPath = (/** @type {string} */ runId) => `thumbs/${runId}.webp`;

/**
 * A count with its noun: 1 run, 2,000 runs.
 *
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * A loss in four digits.
 *
 * @param {number | null | undefined} value
 */
export function formatLoss(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) {
    return value.toExponential(3).replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}

/** A field's name as words. */
export const words = (/** @type {string} */ name) => name.replace(/^extra\./, "").replaceAll("_", " ");

/**
 * The value, or the bound that it exceeds.
 *
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * Says something in the page's status line, which a screen reader reads out.
 *
 * @param {string} text
 */
export function announce(text) {
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

/** @param {HTMLDialogElement} dialog */
export function closeDialog(dialog) {
  if (dialog.open) dialog.close();
}

/**
 * What went wrong, in words.
 *
 * @param {unknown} error
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * An element inside another, which exists.
 *
 * @param {ParentNode} parent
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function find(parent, selector) {
  const node = parent.querySelector(selector);
  if (!(node instanceof HTMLElement)) throw new Error(`there is no ${selector}`);
  return node;
}
