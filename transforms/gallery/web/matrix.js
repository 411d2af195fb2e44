/* Which runs a view shows, in which cells and in which order. */

import { choiceOf, isChosen } from "./choices.js";
import { markChoice } from "./choosing.js";
import { describeRun, dimensions, isImage, keysOf, lossWords, runs, valuesOf } from "./data.js";
import { ICONS, NARROW_PX, clamp, element, find, foreign, formatLoss, icon, picture, thumbPath, words } from "./dom.js";
import { state } from "./state.js";

/** @import { Child, Model } from "./types" */

const HEAD_WIDTH_PX = { wide: 148, narrow: 76 };
const THUMB_HEAD_PX = 104;
const TEXT_HEAD_PX = 52;
const CAPTION_PX = { matrix: 22, grid: 45 };
const GAP_PX = 10;
const AUTO_SIZE_PX = { matrix: [96, 360], grid: [172, 260] };

/** Whether a run passes the filter by choice. */
function passesChoice(/** @type {string} */ id) {
  if (state.chosen === "all") return true;
  const choice = choiceOf(id);
  if (state.chosen === "kept") return !choice.rejected;
  if (state.chosen === "rejected") return choice.rejected;
  return state.chosen === "chosen" ? isChosen(choice) : !isChosen(choice) && !choice.rejected;
}

/** The runs that pass all filters, by number, in the order of the view. */
export function shownRuns() {
  const filters = [...state.filters].map(([key, codes]) => ({ column: runs.codes[key], codes }));
  const shown = [];
  for (let run = 0; run < runs.count; run++) {
    if (passesChoice(runs.ids[run]) && filters.every(({ column, codes }) => codes.has(column[run]))) shown.push(run);
  }
  if (state.sort === "order") return state.descending ? shown.reverse() : shown;
  const loss = runs.losses[state.sort];
  const sign = state.descending ? -1 : 1;
  return shown.sort((a, b) => compareLosses(loss[a], loss[b], sign) || a - b);
}

/**
 * Ascending, or descending for sign -1; a loss that is no number comes last either way.
 *
 * @param {number | null} a
 * @param {number | null} b
 * @param {number} sign
 */
function compareLosses(a, b, sign) {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return sign * (a - b);
}

/**
 * The model of a flat grid, for Sheet.show.
 *
 * @param {number[]} shown
 * @param {number} width
 * @returns {Model}
 */
export function gridModel(shown, width) {
  const size = state.size ?? autoSize("grid", width, Math.max(2, Math.floor(width / 210)));
  const columnCount = Math.max(Math.floor(width / size), 1);
  const cellWidth = Math.floor(width / columnCount);
  const cellHeight = pictureHeight(cellWidth) + CAPTION_PX.grid + GAP_PX;
  const runsAt = (/** @type {number} */ row, /** @type {number} */ column) =>
    shown.slice(row * columnCount + column, row * columnCount + column + 1);
  return {
    label: `Pictures, ${sortWords()}`,
    flows: true,
    rowCount: Math.ceil(shown.length / columnCount),
    columnCount,
    cellWidth,
    cellHeight,
    headWidth: 0,
    headHeight: 0,
    exists: (row, column) => row >= 0 && column >= 0 && row * columnCount + column < shown.length,
    cell: (row, column) => runCell(runsAt(row, column), []),
    runsAt,
    sequence: () => shown,
    placeOf: (run) => placeInList(shown.indexOf(run), columnCount),
  };
}

const placeInList = (/** @type {number} */ place, /** @type {number} */ columnCount) =>
  place < 0 ? null : { row: Math.floor(place / columnCount), column: place % columnCount };

/**
 * The model of a matrix, for Sheet.show.
 *
 * @param {number[]} shown
 * @param {number} width
 * @returns {Model}
 */
export function matrixModel(shown, width) {
  const rows = axis(state.rows, shown);
  const columns = axis(state.cols, shown);
  /** @type {Map<number, number[]>} */
  const cells = new Map();
  for (const run of shown) {
    const place = rows.placeOf(run) * columns.count + columns.placeOf(run);
    const list = cells.get(place);
    if (list) list.push(run);
    else cells.set(place, [run]);
  }
  const runsAt = (/** @type {number} */ row, /** @type {number} */ column) =>
    cells.get(row * columns.count + column) ?? [];
  const except = [state.rows, state.cols];
  return {
    label: `Pictures by ${axisWords(state.rows)} in rows and ${axisWords(state.cols)} in columns`,
    rowCount: rows.count,
    columnCount: columns.count,
    ...matrixSizes(width, columns.count),
    exists: (row, column) => row >= 0 && column >= 0 && row < rows.count && column < columns.count,
    cell: (row, column) => runCell(runsAt(row, column), except),
    corner: () => [element("span", {}, axisWords(state.cols)), element("span", {}, axisWords(state.rows))],
    rowHead: (row) => axisHead(state.rows, rows.codes[row]),
    columnHead: (column) => axisHead(state.cols, columns.codes[column]),
    runsAt,
    sequence: () => [...cells].sort(([a], [b]) => a - b).flatMap(([, list]) => list),
    placeOf: (run) => ({ row: rows.placeOf(run), column: columns.placeOf(run) }),
  };
}

/**
 * @param {number} width
 * @param {number} columnCount
 */
function matrixSizes(width, columnCount) {
  const headWidth = state.rows === null ? 0 : HEAD_WIDTH_PX[width < NARROW_PX ? "narrow" : "wide"];
  const cellWidth = Math.floor(state.size ?? autoSize("matrix", width - headWidth, columnCount));
  const cellHeight = pictureHeight(cellWidth) + GAP_PX + (state.sort === "order" ? 0 : CAPTION_PX.matrix);
  return { cellWidth, cellHeight, headWidth, headHeight: headHeight(state.cols) };
}

/** @param {string | null} key */
function headHeight(key) {
  if (key === null) return 0;
  return valuesOf(key).some((value) => value.thumbs) ? THUMB_HEAD_PX : TEXT_HEAD_PX;
}

/**
 * The width that lets all columns fit, within bounds.
 *
 * @param {"matrix" | "grid"} view
 * @param {number} width
 * @param {number} columnCount
 */
function autoSize(view, width, columnCount) {
  const [low, high] = AUTO_SIZE_PX[view];
  return clamp(width / Math.max(columnCount, 1), Math.min(low, width / 2), high);
}

/** @param {number} cellWidth */
function pictureHeight(cellWidth) {
  return Math.round((cellWidth - GAP_PX) / aspect());
}

/** Width over height of a typical picture: cells are made for it, others are fitted in. */
function aspect() {
  const count = Math.min(runs.count, 500);
  const ratios = Array.from({ length: count }, (_, run) => runs.width[run] / runs.height[run]).sort((a, b) => a - b);
  return clamp(ratios[count >> 1] ?? 1, 0.6, 1.8);
}

/**
 * One side of the matrix: the values that occur, in their order.
 *
 * @param {string | null} key
 * @param {number[]} shown
 * @returns {{ count: number, codes: number[], placeOf: (run: number) => number }}
 */
function axis(key, shown) {
  if (key === null) return { count: 1, codes: [0], placeOf: () => 0 };
  const column = runs.codes[key];
  const codes = axisCodes(key, shown, column);
  const places = new Map(codes.map((code, place) => [code, place]));
  return { count: codes.length, codes, placeOf: (run) => places.get(column[run]) ?? -1 };
}

/**
 * Numbers stay in their order; images and names, which have none, follow the losses when those sort the view.
 *
 * @param {string} key
 * @param {number[]} shown
 * @param {number[]} column
 */
function axisCodes(key, shown, column) {
  const codes = [...new Set(shown.map((run) => column[run]))].sort((a, b) => a - b);
  if (state.sort === "order" || dimensions.get(key)?.ordered) {
    return state.sort === "order" && state.descending ? codes.reverse() : codes;
  }
  const means = meanLosses(shown, column);
  return codes.sort(
    (a, b) => compareLosses(means.get(a) ?? null, means.get(b) ?? null, state.descending ? -1 : 1) || a - b,
  );
}

/**
 * @param {number[]} shown
 * @param {number[]} column
 * @returns {Map<number, number | null>}
 */
function meanLosses(shown, column) {
  /** @type {Map<number, [number, number]>} */
  const sums = new Map();
  for (const run of shown) {
    const loss = runs.losses[state.sort][run];
    const [sum, count] = sums.get(column[run]) ?? [0, 0];
    sums.set(column[run], loss === null ? [sum, count] : [sum + loss, count + 1]);
  }
  return new Map([...sums].map(([code, [sum, count]]) => [code, count ? sum / count : null]));
}

/**
 * The head of a row or column: the source picture where there is one, and the value's name.
 *
 * @param {string | null} key
 * @param {number} code
 * @returns {Child[]}
 */
function axisHead(key, code) {
  if (key === null) return [];
  const { label, full, thumbs = [] } = valuesOf(key)[code];
  return [
    thumbs.length
      ? element(
          "span",
          { class: "head-thumbs" },
          thumbs.slice(0, 3).map((path) => picture(path, "")),
        )
      : null,
    element("span", { class: "head-label", title: full ?? label }, foreign(label)),
  ];
}

const axisWords = (/** @type {string | null} */ key) => (key === null ? "nothing" : words(key));

/**
 * A cell: its first run's picture, the number of its runs, the button that picks it, and its loss.
 *
 * @param {number[]} cellRuns
 * @param {(string | null)[]} except
 */
function runCell(cellRuns, except) {
  if (!cellRuns.length) return element("div", { class: "cell empty", "aria-label": "no run" });
  const [run] = cellRuns;
  const id = runs.ids[run];
  const node = element(
    "div",
    { class: "cell", "data-run": id },
    picture(thumbPath(id), "", { loading: "lazy", class: "thumb" }),
  );
  if (cellRuns.length > 1)
    node.append(element("span", { class: "count", title: `${cellRuns.length} runs` }, String(cellRuns.length)));
  node.append(pickButton());
  if (state.view === "grid" || state.sort !== "order") node.append(caption(run));
  markPicked(node);
  node.dataset.words = cellWords(cellRuns, except);
  markChoice(node);
  return node;
}

function pickButton() {
  return element(
    "button",
    { type: "button", class: "pick", tabindex: "-1", "aria-label": "Pick for comparison" },
    icon(ICONS.check),
  );
}

/** @param {number} run */
function caption(run) {
  const loss =
    state.sort === "order" ? null : element("span", { class: "figure" }, formatLoss(runs.losses[state.sort][run]));
  if (state.view === "matrix") return element("div", { class: "caption" }, loss);
  const images = describeRun(
    run,
    keysOf(({ kind }) => !isImage(kind)),
  );
  const numbers = describeRun(
    run,
    keysOf(({ kind, ordered }) => isImage(kind) || !ordered),
  );
  const others = describeRun(
    run,
    keysOf(({ kind, ordered }) => isImage(kind) || ordered),
  );
  return element(
    "div",
    { class: "caption" },
    element("div", { class: "caption-line" }, foreign(images.join(" · "), "caption-images"), loss),
    foreign([...numbers, ...others].join(" · "), "caption-rest"),
  ); // numbers are short: they have room
}

/**
 * @param {number[]} cellRuns
 * @param {(string | null)[]} except
 */
function cellWords(cellRuns, except) {
  const [run] = cellRuns;
  const loss = state.sort === "order" ? "loss_total" : state.sort;
  const several = cellRuns.length > 1 ? [`first of ${cellRuns.length} runs`] : [];
  return [...describeRun(run, except), ...several, `${lossWords(loss)} ${formatLoss(runs.losses[loss][run])}`].join(
    ", ",
  );
}

/**
 * Brings a cell's mark up to date with the picks.
 *
 * @param {HTMLElement} node
 */
export function markPicked(node) {
  if (!node.dataset.run) return;
  const picked = state.picks.includes(node.dataset.run);
  node.setAttribute("aria-selected", String(picked));
  find(node, ".pick").setAttribute("aria-pressed", String(picked));
}

function sortWords() {
  if (state.sort === "order") return state.descending ? "last of the manifest first" : "in the manifest's order";
  return `by ${lossWords(state.sort)}, ${state.descending ? "highest" : "lowest"} first`;
}
