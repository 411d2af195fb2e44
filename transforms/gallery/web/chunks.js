/* Script files beside the page: a page from disk can load nothing else. A chunk is one that hands records to the page. */

import { element } from "./dom.js";

/** @type {Map<string, any[]>} */
const received = new Map();
/** @type {Map<string, Promise<void>>} */
const scripts = new Map();

/* The chunk files call this. */
window.styleBeamGallery = Object.freeze({
  receive: (/** @type {string} */ key, /** @type {any[]} */ records) => void received.set(key, records),
});

/**
 * Runs a script beside the page, once; the promise fails when it cannot be read.
 *
 * @param {string} path
 * @returns {Promise<void>}
 */
export function loadScript(path) {
  const loading = scripts.get(path) ?? new Promise((resolve, reject) => startScript(path, resolve, reject));
  scripts.set(path, loading);
  return loading;
}

/**
 * @param {string} path
 * @param {() => void} resolve
 * @param {(error: Error) => void} reject
 */
function startScript(path, resolve, reject) {
  const script = element("script", { src: path, async: true });
  script.addEventListener("load", () => {
    script.remove();
    resolve();
  });
  script.addEventListener("error", () => {
    script.remove();
    scripts.delete(path);
    reject(new Error(`${path} could not be read: has the gallery been moved without it?`));
  });
  document.head.append(script);
}

/**
 * The records of a chunk; the loader forgets them, and the caller keeps what it needs.
 *
 * @param {string} path
 * @returns {Promise<any[]>}
 */
export async function loadChunk(path) {
  await loadScript(path);
  const key = path.replace(/^data\/(.*)-[0-9a-f]{8}\.js$/, "$1");
  const records = received.get(key) ?? [];
  received.delete(key);
  scripts.delete(path);
  return records;
}

const KINDS = { b: Uint8Array, h: Uint16Array, i: Uint32Array, f: Float32Array };

/**
 * A column as `packed` of chunks.py wrote it: a letter for its type and base64, or the one value of all runs.
 *
 * @param {string | number} column
 * @returns {number | Uint8Array | Uint16Array | Uint32Array | Float32Array}
 */
export function unpacked(column) {
  if (typeof column === "number") return column;
  const text = atob(column.slice(1));
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  return new KINDS[/** @type {keyof typeof KINDS} */ (column[0])](bytes.buffer);
}
