/* Which runs a view shows, in which order, and which of them share a cell. Of 200,000 runs this takes milliseconds. */

import { choicesByRun, isChosen } from "./choices.js";
import {
  codes,
  dimensions,
  haveNumbers,
  haveRun,
  haveRuns,
  hiddenRuns,
  loadCount,
  loadTrouble,
  loadedRanges,
  numbers,
  runCount,
  valuesOf,
} from "./data.js";
import { reader } from "./quantities.js";
import { state } from "./state.js";

/** @import { Choice, Runs } from "./types" */

/* The sorts that are kept: those between which one goes to and fro. */
const SORTS_KEPT = 4;
/** @type {Map<string, Runs>} */
const sorts = new Map();

/** Whether the view must know all runs; a flat grid without filters needs those in sight alone, and asks for them. */
const needsRuns = () => state.view !== "grid" || state.filters.size > 0 || state.chosen !== "all" || comparesAllRuns();
/** Whether the view must know the numbers of all runs. */
const needsNumbers = () => state.sort !== "order" || state.view === "scatter" || comparesAllRuns();
/** Whether a rectangle, a colour or a mark depends on all runs. */
const comparesAllRuns = () => [state.brush, state.color, state.best].some((choice) => choice !== null);

/** Asks for what the view needs: all runs, or the first of them; and their numbers, if these order it. */
export function askForRuns() {
  if (state.view === "failed" || runCount === 0) return;
  if (needsRuns()) haveRuns();
  else if (!needsNumbers()) haveRun(state.descending ? runCount - 1 : 0);
  if (needsNumbers()) haveNumbers();
}

/** Whether the view is not yet what it will be. */
export function isWaiting() {
  if (state.view === "failed" || runCount === 0 || loadTrouble() !== null) return false;
  return loadCount() === 0 || (needsRuns() && !haveRuns()) || (needsNumbers() && !haveNumbers());
}

/**
 * The runs that pass all filters, by number, in the order of the view, as far as they are there.
 *
 * @param {{ brushed: boolean }} options whether the rectangle drawn in the scatter is one of the filters
 */
export function shownRuns({ brushed } = { brushed: true }) {
  const tests = [...filterTests(), ...choiceTests(), ...hiddenTests(), ...(brushed ? brushTests() : [])];
  const shown = new Uint32Array(runCount);
  let count = 0;
  for (const run of ordered()) if (tests.every((passes) => passes(run))) shown[count++] = run;
  return shown.subarray(0, count);
}

function filterTests() {
  return [...state.filters].map(([key, wanted]) => {
    const column = codes(key);
    const passing = Uint8Array.from(valuesOf(key), (_, code) => Number(wanted.has(code)));
    return (/** @type {number} */ run) => passing[column[run]] === 1;
  });
}

/** Whether a run lies in the rectangle drawn in the scatter; one without a number does not. */
export function brushTests() {
  const { x, y, brush } = state;
  if (!brush || x === null || y === null) return [];
  const [xFrom, xTo, yFrom, yTo] = brush;
  return [within(reader(x), xFrom, xTo), within(reader(y), yFrom, yTo)];
}

/**
 * @param {(run: number) => number} read
 * @param {number | null} from
 * @param {number | null} to
 */
function within(read, from, to) {
  return (/** @type {number} */ run) => read(run) >= (from ?? -Infinity) && read(run) <= (to ?? Infinity);
}

function choiceTests() {
  const { chosen } = state;
  if (chosen === "all") return [];
  const choices = choicesByRun();
  return [(/** @type {number} */ run) => passesChoice(chosen, choices.get(run))];
}

function hiddenTests() {
  return hiddenRuns.size ? [(/** @type {number} */ run) => !hiddenRuns.has(run)] : [];
}

/** Whether a run with this choice, or none, passes the filter by choice. */
function passesChoice(/** @type {string} */ chosen, /** @type {Choice | undefined} */ choice) {
  if (chosen === "kept") return !choice?.rejected;
  if (chosen === "rejected") return choice?.rejected === true;
  const is = choice !== undefined && isChosen(choice);
  return chosen === "chosen" ? is : !is && !choice?.rejected;
}

/** All runs of the view, as far as they are there, in its order. */
function ordered() {
  const key = `${state.sort} ${state.descending} ${needsRuns()} ${loadCount()}`;
  const found = sorts.get(key) ?? sortedRuns();
  sorts.delete(key);
  sorts.set(key, found);
  if (sorts.size > SORTS_KEPT) sorts.delete([...sorts.keys()][0]);
  return found;
}

function sortedRuns() {
  const ranges = needsRuns() ? loadedRanges() : [[0, runCount]];
  const all = new Uint32Array(ranges.reduce((sum, [from, to]) => sum + to - from, 0));
  let place = 0;
  for (const [from, to] of ranges) for (let run = from; run < to; run++) all[place++] = run;
  if (state.sort !== "order") return sortedBy(all, numbers(state.sort), state.descending);
  return state.descending ? all.reverse() : all;
}

/**
 * Ascending or descending, equal numbers in the order of the runs; what is not a number comes last either way.
 *
 * @param {Runs} runs
 * @param {Float32Array} column
 * @param {boolean} descending
 * @returns {Runs}
 */
function sortedBy(runs, column, descending) {
  const bits = new Uint32Array(column.buffer);
  /* The bits of positive numbers rise with them, those of negative ones fall. */
  const key = (/** @type {number} */ run) => {
    if (Number.isNaN(column[run])) return 0xffffffff;
    const own = column[run] === 0 ? 0 : bits[run]; // there are two zeros
    const rising = own & 0x80000000 ? ~own : own | 0x80000000;
    return descending ? ~rising >>> 0 : rising >>> 0;
  };
  const byLowBits = grouped(runs, (run) => key(run) & 0xffff, 0x10000).runs;
  return grouped(byLowBits, (run) => key(run) >>> 16, 0x10000).runs;
}

/**
 * Runs by groups, in each group in their order before.
 *
 * @param {Runs} runs
 * @param {(run: number) => number} groupOf
 * @param {number} count
 * @returns {{ runs: Runs, starts: Uint32Array }} `starts` has the place of each group's first run, and the end
 */
export function grouped(runs, groupOf, count) {
  const starts = new Uint32Array(count + 1);
  for (const run of runs) starts[groupOf(run) + 1]++;
  for (let group = 0; group < count; group++) starts[group + 1] += starts[group];
  const next = starts.slice();
  const result = new Uint32Array(runs.length);
  for (const run of runs) result[next[groupOf(run)]++] = run;
  return { runs: result, starts };
}

/** @typedef {{ count: number, codes: number[], placeOf: (run: number) => number }} Axis */

/**
 * One side of the matrix: the values that occur, in their order.
 *
 * @param {string | null} key
 * @param {Runs} shown
 * @returns {Axis}
 */
export function axis(key, shown) {
  if (key === null) return { count: 1, codes: [0], placeOf: () => 0 };
  const column = codes(key);
  const present = axisCodes(key, shown);
  const places = new Int32Array(valuesOf(key).length).fill(-1);
  present.forEach((code, place) => (places[code] = place));
  return { count: present.length, codes: present, placeOf: (run) => places[column[run]] };
}

/**
 * Numbers stay in their order; images and names, which have none, follow the losses when those sort the view.
 *
 * @param {string} key
 * @param {Runs} shown
 */
function axisCodes(key, shown) {
  const column = codes(key);
  const occurs = new Uint8Array(valuesOf(key).length);
  for (const run of shown) occurs[column[run]] = 1;
  if (!haveRuns() && !state.filters.size) occurs.fill(1); // so that rows and columns stay where they are
  const present = [...occurs.keys()].filter((code) => occurs[code]);
  if (state.sort === "order" || dimensions.get(key)?.ordered) {
    return state.sort === "order" && state.descending ? present.reverse() : present;
  }
  const means = meansByCode(shown, column, occurs.length);
  return present.sort((a, b) => compareNumbers(means[a], means[b], state.descending ? -1 : 1) || a - b);
}

/**
 * Ascending, or descending for sign -1; what is not a number comes last either way.
 *
 * @param {number} a
 * @param {number} b
 * @param {number} sign
 */
function compareNumbers(a, b, sign) {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return sign * (a - b);
}

/**
 * The mean of the column that sorts the view for each code; NaN for a code without a number.
 *
 * @param {Runs} shown
 * @param {ArrayLike<number>} column
 * @param {number} count
 */
function meansByCode(shown, column, count) {
  const sums = new Float64Array(count);
  const counts = new Uint32Array(count);
  const sorting = numbers(state.sort);
  for (const run of shown) {
    if (Number.isNaN(sorting[run])) continue;
    sums[column[run]] += sorting[run];
    counts[column[run]]++;
  }
  return sums.map((sum, code) => sum / counts[code]);
}

/**
 * The runs of each cell of a matrix, in the order of `shown`.
 *
 * @param {Runs} shown
 * @param {Axis} rows
 * @param {Axis} columns
 */
export function cells(shown, rows, columns) {
  const byColumn = grouped(shown, columns.placeOf, columns.count).runs;
  const { runs, starts } = grouped(byColumn, rows.placeOf, rows.count);
  /** The first place in a row whose column is at least so much. */
  const from = (/** @type {number} */ row, /** @type {number} */ column) => {
    let low = starts[row];
    let high = starts[row + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (columns.placeOf(runs[middle]) < column) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    all: runs,
    at: (/** @type {number} */ row, /** @type {number} */ column) =>
      runs.subarray(from(row, column), from(row, column + 1)),
  };
}
