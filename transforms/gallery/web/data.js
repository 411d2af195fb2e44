/* The data: an index in the page; the runs in parts, of which only those are loaded that a view needs. */

import { loadChunk, unpacked } from "./chunks.js";
import { byId, messageOf, words } from "./dom.js";

/** @import { Detail, Dimension, History, Index, RunsRecord } from "./types" */

const DETAIL_CHUNKS_KEPT = 12;
/* While much is loaded, the view is drawn anew this often. */
const TELL_INTERVAL_MS = 500;
const ID_LENGTH = 16;

/** @type {Index} */
export const index = JSON.parse(byId("index").textContent ?? "");
export const dimensions = new Map(index.dimensions.map((dimension) => [dimension.key, dimension]));

const labels = new Map([
  ...index.losses.map(({ key, label }) => /** @type {[string, string]} */ ([key, `${label} loss`])),
  ...index.measures.map(({ key, label }) => /** @type {[string, string]} */ ([key, label])),
]);

/** The name of a column of numbers: "style loss". */
export const numberWords = (/** @type {string} */ key) => labels.get(key) ?? words(key);

/**
 * @typedef {{
 *   from: number, to: number, ids: string | null, details: string[], starts: number[], hasNumbers: boolean,
 *   loading: Map<string, Promise<void>>,
 * }} Part what is loaded of the runs in [from, to)
 */

/** @type {Part[]} */
const parts = [];
for (const { rows } of index.parts) {
  const from = parts.at(-1)?.to ?? 0;
  const there = rows === 0;
  parts.push({
    from,
    to: from + rows,
    ids: there ? "" : null,
    details: [],
    starts: [],
    hasNumbers: there,
    loading: new Map(),
  });
}
/** The number of runs: a run is its number in every column. */
export const runCount = parts.at(-1)?.to ?? 0;
/** Runs that are not shown, since a run before is the same. */
export const hiddenRuns = new Set(
  index.parts.flatMap(({ hidden = [] }, number) => hidden.map((place) => parts[number].from + place)),
);

const heights = new Uint32Array(runCount);
const widths = new Uint32Array(runCount);
/* Columns are made when they are first asked for. */
const numberColumns = /** @type {Map<string, Float32Array>} */ (new Map());
const codeColumns = /** @type {Map<string, Codes>} */ (
  new Map(index.dimensions.map(({ key, values }) => [key, codeArray(values.length)]))
);

/** @typedef {Uint8Array | Uint16Array | Uint32Array} Codes */

/** The smallest array that holds so many different codes for all runs. */
function codeArray(/** @type {number} */ values) {
  return new (values <= 0x100 ? Uint8Array : values <= 0x10000 ? Uint16Array : Uint32Array)(runCount);
}

let loads = 0;
let underWay = 0;
let toldAt = -Infinity;
/** @type {string | null} */
let trouble = null;
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

/** A number that changes whenever more is there. */
export const loadCount = () => loads;
/** What could not be read, if anything. */
export const loadTrouble = () => trouble;

/** Whether a run is there; if it is not, its part is asked for, and `onLoaded` tells of it. */
export function haveRun(/** @type {number} */ run) {
  const part = partOf(run);
  ask(part, "runs");
  return part.ids !== null;
}

/** A promise that a run is there, for what follows a reader's step. */
export async function untilHaveRun(/** @type {number} */ run) {
  await ask(partOf(run), "runs");
}

let askedForRuns = false;

/** Whether all runs are there; those that are not are asked for, after the first part, whose pictures come first. */
export function haveRuns() {
  if (!askedForRuns && parts.length) {
    askedForRuns = true;
    const askForRest = () => parts.forEach((part) => ask(part, "runs"));
    ask(parts[0], "runs").then(() => setTimeout(askForRest), ignore);
  }
  return parts.every(({ ids }) => ids !== null);
}

/** A promise that all runs are there. */
export async function untilHaveRuns() {
  await Promise.all(parts.map((part) => ask(part, "runs")));
}

/** Whether the numbers of all runs are there; those that are not are asked for. */
export function haveNumbers() {
  for (const part of parts) ask(part, "numbers");
  return parts.every(({ hasNumbers }) => hasNumbers);
}

/** The runs that are there, as ranges [from, to). */
export function loadedRanges() {
  return parts
    .filter(({ ids, from, to }) => ids !== null && to > from)
    .map(({ from, to }) => /** @type {[number, number]} */ ([from, to]));
}

const ignore = () => {};

/**
 * Loads a part's runs or numbers, once.
 *
 * @param {Part} part
 * @param {"runs" | "numbers"} kind
 */
function ask(part, kind) {
  let promise = part.loading.get(kind);
  if (!promise) {
    promise = load(part, kind);
    promise.catch(ignore); // `loadTrouble` has it, also where nobody waits
    part.loading.set(kind, promise);
  }
  return promise;
}

/**
 * @param {Part} part
 * @param {"runs" | "numbers"} kind
 */
async function load(part, kind) {
  const number = parts.indexOf(part);
  const [path] = index.parts[number][kind];
  if (path === undefined) return;
  underWay += 1;
  try {
    const [record] = await loadChunk(path);
    if (kind === "runs") addRuns(part, number, record);
    else addNumbers(part, record);
  } catch (error) {
    trouble ??= messageOf(error);
    throw error;
  } finally {
    underWay -= 1;
    loads += 1;
    tell();
  }
}

/** Tells the listeners of the first that is there, of the last, and now and then between them. */
function tell() {
  if (underWay > 0 && performance.now() - toldAt < TELL_INTERVAL_MS) return;
  toldAt = performance.now();
  for (const listener of listeners) listener();
}

/**
 * @param {Part} part
 * @param {number} number
 * @param {RunsRecord} record
 */
function addRuns(part, number, record) {
  const { from, to } = part;
  part.ids = record.ids;
  part.details = record.details;
  part.starts = record.starts;
  fill(heights, record.height, from, to);
  fill(widths, record.width, from, to);
  for (const [key, column] of codeColumns) {
    const known = index.parts[number].codes[key];
    const places = record.codes[key] === undefined ? 0 : unpacked(record.codes[key]);
    if (typeof places === "number") column.fill(known[places], from, to);
    else for (let place = 0; place < places.length; place++) column[from + place] = known[places[place]];
  }
}

/**
 * @param {Part} part
 * @param {Record<string, string>} record
 */
function addNumbers(part, record) {
  for (const [key, column] of Object.entries(record)) fill(numbers(key), column, part.from, part.to);
  part.hasNumbers = true;
}

/**
 * @param {Uint32Array | Float32Array} column
 * @param {string | number} packed
 * @param {number} from
 * @param {number} to
 */
function fill(column, packed, from, to) {
  const values = unpacked(packed);
  if (typeof values === "number") column.fill(values, from, to);
  else column.set(values, from);
}

const partStarts = parts.map(({ from }) => from);

/** @param {number} run */
function partOf(run) {
  return parts[lastIndexAtMost(partStarts, run)];
}

/** The run_id of a run that is there. */
export function idOf(/** @type {number} */ run) {
  const { ids, from } = partOf(run);
  return ids?.slice((run - from) * ID_LENGTH, (run - from + 1) * ID_LENGTH) ?? "";
}

/** @type {Map<string, number>} */
const runsById = new Map();
/** @type {Set<Part>} */
const partsById = new Set();

/** The run with a run_id, if it is there. */
export function runOf(/** @type {string} */ id) {
  for (const part of parts) {
    if (part.ids === null || partsById.has(part)) continue;
    partsById.add(part);
    for (let run = part.from; run < part.to; run++) if (!hiddenRuns.has(run)) runsById.set(idOf(run), run);
  }
  return runsById.get(id);
}

/** The size in pixels of the picture of a run that is there. */
export const sizeOf = (/** @type {number} */ run) => ({ height: heights[run], width: widths[run] });

/**
 * A loss or measure of every run; NaN where it is not finite, and where it is not there yet: see `haveNumbers`.
 *
 * @param {string} column
 */
export function numbers(column) {
  const found = numberColumns.get(column) ?? new Float32Array(runCount).fill(Number.NaN);
  numberColumns.set(column, found);
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
  const found = codeColumns.get(key);
  if (!found) throw new Error(`there is no dimension ${key}`);
  return found;
}

/** @type {Map<string, Promise<any[]>>} */
const detailChunks = new Map();

/**
 * Loads a run's details and numbers. The last few chunks are kept, since neighbours share one.
 *
 * @param {number} run which is there
 * @returns {Promise<Detail>}
 */
export async function loadDetail(run) {
  const part = partOf(run);
  const chunk = lastIndexAtMost(part.starts, run - part.from);
  const path = part.details[chunk];
  const promise = detailChunks.get(path) ?? loadChunk(path);
  detailChunks.delete(path);
  detailChunks.set(path, promise);
  if (detailChunks.size > DETAIL_CHUNKS_KEPT) detailChunks.delete([...detailChunks.keys()][0]);
  const [records] = await Promise.all([promise, ask(part, "numbers")]);
  const record = records[run - part.from - part.starts[chunk]];
  return { ...record, history: unpackedHistory(record.history) };
}

/** @param {Record<string, string>} packed */
function unpackedHistory(packed) {
  const curves = Object.entries(packed).map(([name, column]) => {
    const values = [.../** @type {Uint32Array | Float32Array} */ (unpacked(column))];
    return [name, values.map((number) => (Number.isNaN(number) ? null : number))];
  });
  return /** @type {History} */ (Object.fromEntries(curves));
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
