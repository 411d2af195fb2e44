/* The data: an index in the page, runs in chunks of some thousand, details in chunks that are loaded when needed. */

import { byId, element, words } from "./dom.js";

/** @import { Detail, Dimension, Index, RunChunk } from "./types" */

const DETAIL_CHUNKS_KEPT = 12;

/** @type {Index} */
export const index = JSON.parse(byId("index").textContent ?? "");
export const dimensions = new Map(index.dimensions.map((dimension) => [dimension.key, dimension]));

const lossLabels = new Map(index.losses.map(({ key, label }) => [key, label]));

/**
 * Columns of all runs that have been loaded; a run is its number in them. A loss is null where it is not finite.
 *
 * @type {{
 *   count: number, ids: string[], numbers: Map<string, number>, height: number[], width: number[],
 *   losses: Record<string, (number | null)[]>, codes: Record<string, number[]>,
 * }}
 */
export const runs = {
  count: 0,
  ids: [],
  numbers: new Map(),
  height: [],
  width: [],
  losses: Object.fromEntries(index.losses.map(({ key }) => [key, []])),
  codes: Object.fromEntries(index.dimensions.map(({ key }) => [key, []])),
};

/** @type {Map<string, any[]>} */
const received = new Map();
/** @type {Map<number, Promise<Detail[]>>} */
const detailChunks = new Map();
/** @type {Map<string, Promise<void>>} */
const scripts = new Map();

/** @param {string} key */
export const lossWords = (key) => `${lossLabels.get(key)} loss`;

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

/**
 * Loads all runs; `onFirst` is called as soon as there is something to show.
 *
 * @param {() => void} onFirst
 */
export async function loadRuns(onFirst) {
  const [first, ...rest] = index.chunks.runs;
  if (first === undefined) return;
  addRuns(await loadChunk(first));
  if (rest.length) onFirst();
  for (const records of await Promise.all(rest.map(loadChunk))) addRuns(records);
}

/** @param {RunChunk[]} chunk */
function addRuns([chunk]) {
  const count = chunk.run_id.length;
  /** @type {(values: number | number[]) => number[]} */
  const column = (values) => (Array.isArray(values) ? values : new Array(count).fill(values));
  for (const id of chunk.run_id) {
    runs.numbers.set(id, runs.ids.length);
    runs.ids.push(id);
  }
  runs.height.push(...column(chunk.height));
  runs.width.push(...column(chunk.width));
  for (const { key } of index.losses) runs.losses[key].push(...chunk[key]);
  for (const key of dimensions.keys()) runs.codes[key].push(...chunk.codes[key]);
  runs.count += count;
}

/**
 * Loads a run's details. The last few chunks are kept, since neighbours share one.
 *
 * @param {number} run
 * @returns {Promise<Detail>}
 */
export async function loadDetail(run) {
  const chunk = lastIndexAtMost(index.detail_starts, run);
  const promise = detailChunks.get(chunk) ?? loadChunk(index.chunks.details[chunk]);
  detailChunks.delete(chunk);
  detailChunks.set(chunk, promise);
  if (detailChunks.size > DETAIL_CHUNKS_KEPT) detailChunks.delete([...detailChunks.keys()][0]);
  return (await promise)[run - index.detail_starts[chunk]];
}

/**
 * The last place in an ascending list whose value is at most the limit.
 *
 * @param {number[]} values
 * @param {number} limit
 */
function lastIndexAtMost(values, limit) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (values[middle] <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The value that a run has in a dimension.
 *
 * @param {number} run
 * @param {string} key
 */
export function valueOf(run, key) {
  return valuesOf(key)[runs.codes[key][run]];
}

/**
 * The values of a dimension, which exists.
 *
 * @param {string} key
 */
export function valuesOf(key) {
  const dimension = dimensions.get(key);
  if (!dimension) throw new Error(`there is no dimension ${key}`);
  return dimension.values;
}

/**
 * A run's value in each dimension, in words, except in some dimensions.
 *
 * @param {number} run
 * @param {(string | null)[]} except
 */
export function describeRun(run, except = []) {
  return index.dimensions
    .filter(({ key }) => !except.includes(key))
    .map(({ key, kind }) => (isImage(kind) ? "" : words(key) + " ") + valueOf(run, key).label);
}

/**
 * A run's name for people.
 *
 * @param {number} run
 */
export function runTitle(run) {
  return describeRun(run).join(" · ") || runs.ids[run];
}

/** @param {(dimension: Dimension) => boolean} passes */
export const keysOf = (passes) => index.dimensions.filter(passes).map(({ key }) => key);
/** @param {Dimension["kind"]} kind */
export const isImage = (kind) => kind === "content" || kind === "style";
