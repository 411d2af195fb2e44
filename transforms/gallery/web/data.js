/* The data: an index in the page, runs in chunks of some thousand, details in chunks that are loaded when needed. */

import { byId, element, words } from "./dom.js";

/** @import { Detail, Dimension, Index, RunChunk } from "./types" */

const DETAIL_CHUNKS_KEPT = 12;

/** @type {Index} */
export const index = JSON.parse(byId("index").textContent ?? "");
export const dimensions = new Map(index.dimensions.map((dimension) => [dimension.key, dimension]));

const labels = new Map([
  ...index.losses.map(({ key, label }) => /** @type {[string, string]} */ ([key, `${label} loss`])),
  ...index.measures.map(({ key, label }) => /** @type {[string, string]} */ ([key, label])),
]);

/** @typedef {Uint8Array | Uint16Array | Uint32Array} Codes */

/* What is known of the runs; a run is its number in every column. */
const ids = /** @type {string[]} */ ([]);
const numberOf = /** @type {Map<string, number>} */ (new Map());
const heights = new Uint32Array(index.runs);
const widths = new Uint32Array(index.runs);
const columns = new Map(
  [...index.losses, ...index.measures].map(({ key }) => [key, new Float32Array(index.runs).fill(Number.NaN)]),
);
const coded = new Map(index.dimensions.map(({ key, values }) => [key, codeArray(values.length, index.runs)]));

/** The smallest array that holds so many different codes. */
function codeArray(/** @type {number} */ values, /** @type {number} */ length) {
  const Kind = values <= 0x100 ? Uint8Array : values <= 0x10000 ? Uint16Array : Uint32Array;
  return /** @type {Codes} */ (new Kind(length));
}

/** Whether all runs are there; what is not is asked for, and `onLoaded` tells of it. */
export const haveRuns = () => ids.length === index.runs;
/** Whether the numbers of all runs are there; likewise. */
export const haveNumbers = () => ids.length === index.runs;
/** A number that changes whenever more is there. */
export const loadCount = () => ids.length;
/** Whether a run is there. */
export const haveRun = (/** @type {number} */ run) => run < ids.length;
/** The runs that are there, as ranges [from, to). */
export const loadedRanges = () => /** @type {[number, number][]} */ (ids.length ? [[0, ids.length]] : []);

/** The run_id of a run that is there. */
export const idOf = (/** @type {number} */ run) => ids[run];
/** The run with a run_id, if it is there. */
export const runOf = (/** @type {string} */ id) => numberOf.get(id);
/** The size in pixels of the picture of a run that is there. */
export const sizeOf = (/** @type {number} */ run) => ({ height: heights[run], width: widths[run] });

/**
 * A loss or measure of every run; NaN where it is not finite, and where it is not there yet: see `haveNumbers`.
 *
 * @param {string} column
 */
export function numbers(column) {
  const found = columns.get(column);
  if (!found) throw new Error(`there are no numbers ${column}`);
  return found;
}

/**
 * A loss or measure of one run; null where it is not finite, or not there yet.
 *
 * @param {number} run
 * @param {string} column
 */
export function value(run, column) {
  const number = numbers(column)[run];
  return Number.isNaN(number) ? null : number;
}

/**
 * The place of every run's value among the values of a dimension; 0 where it is not there yet: see `haveRuns`.
 *
 * @param {string} key
 */
export function codes(key) {
  const found = coded.get(key);
  if (!found) throw new Error(`there is no dimension ${key}`);
  return found;
}

/** @type {Map<string, any[]>} */
const received = new Map();
/** @type {Map<number, Promise<Detail[]>>} */
const detailChunks = new Map();
/** @type {Map<string, Promise<void>>} */
const scripts = new Map();

/** The name of a column of numbers: "style loss". */
export const numberWords = (/** @type {string} */ key) => labels.get(key) ?? words(key);

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

/** @type {(() => void)[]} */
const listeners = [];

/**
 * Has a function called whenever more is there.
 *
 * @param {() => void} listener
 */
export function onLoaded(listener) {
  listeners.push(listener);
}

/** Loads all runs, the first of them alone. */
export async function loadRuns() {
  const [first, ...rest] = index.chunks.runs;
  if (first === undefined) return;
  addRuns([await loadChunk(first)]);
  if (rest.length) addRuns(await Promise.all(rest.map(loadChunk)));
}

/** @param {RunChunk[][]} chunks */
function addRuns(chunks) {
  for (const [chunk] of chunks) addChunk(chunk);
  for (const listener of listeners) listener();
}

/** @param {RunChunk} chunk */
function addChunk(chunk) {
  const start = ids.length;
  for (const [place, id] of chunk.run_id.entries()) numberOf.set(id, start + place);
  ids.push(...chunk.run_id);
  /** @type {(column: Uint32Array, values: number | number[]) => void} */
  const fill = (column, values) =>
    void (Array.isArray(values) ? column.set(values, start) : column.fill(values, start, ids.length));
  fill(heights, chunk.height);
  fill(widths, chunk.width);
  for (const [key, column] of columns) {
    column.set(
      (chunk[key] ?? []).map((/** @type {number | null} */ number) => number ?? Number.NaN),
      start,
    );
  }
  for (const [key, column] of coded) column.set(chunk.codes[key], start);
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
  return valuesOf(key)[codes(key)[run]];
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
  return describeRun(run).join(" · ") || idOf(run);
}

/** @param {(dimension: Dimension) => boolean} passes */
export const keysOf = (passes) => index.dimensions.filter(passes).map(({ key }) => key);
/** @param {Dimension["kind"]} kind */
export const isImage = (kind) => kind === "content" || kind === "style";
