/* What the sheet shows: the model of the matrix and that of the flat grid, and their cells. */

import { axis, cells } from "./arrange.js";
import { markChoice } from "./choosing.js";
import { describeRun, haveRun, idOf, isImage, keysOf, loadedRanges, numberWords, sizeOf, valuesOf } from "./data.js";
import { ICONS, NARROW_PX, clamp, element, find, foreign, formatLoss, icon, picture, thumbPath, words } from "./dom.js";
import { bestFirst, bestMark, bestWords, isBest } from "./marks.js";
import { quantityWords, reader } from "./quantities.js";
import { state } from "./state.js";
import { TONES, toner } from "./tones.js";

/** @import { Sheet } from "./grid.js" */
/** @import { Child, Model, Runs } from "./types" */

const HEAD_WIDTH_PX = { wide: 148, narrow: 76 };
const THUMB_HEAD_PX = 104;
const TEXT_HEAD_PX = 52;
const CAPTION_PX = { matrix: 22, grid: 45 };
const GAP_PX = 10;
const AUTO_SIZE_PX = { matrix: [96, 360], grid: [172, 260] };

/**
 * The model of a flat grid, for Sheet.show.
 *
 * @param {Runs} shown
 * @param {number} width
 * @returns {Model}
 */
export function gridModel(shown, width) {
  const size = state.size ?? autoSize("grid", width, Math.max(2, Math.floor(width / 210)));
  const columnCount = Math.max(Math.floor(width / size), 1);
  const cellWidth = Math.floor(width / columnCount);
  const cellHeight = pictureHeight(cellWidth) + CAPTION_PX.grid + GAP_PX;
  const runsAt = (/** @type {number} */ row, /** @type {number} */ column) =>
    shown.subarray(row * columnCount + column, row * columnCount + column + 1);
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
    cell: (row, column) =>
      haveRun(shown[row * columnCount + column]) ? runCell(runsAt(row, column), []) : waitingCell(),
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
 * @param {Runs} shown
 * @param {number} width
 * @returns {Model}
 */
export function matrixModel(shown, width) {
  const rows = axis(state.rows, shown);
  const columns = axis(state.cols, shown);
  const { all, at } = cells(shown, rows, columns);
  const runsAt = (/** @type {number} */ row, /** @type {number} */ column) => bestFirst(at(row, column));
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
    sequence: () => all,
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
  const cellHeight = pictureHeight(cellWidth) + GAP_PX + (hasFigures() ? CAPTION_PX.matrix : 0);
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

/** @type {number | undefined} */
let typicalAspect;

/** Width over height of a typical picture, of those that came first: cells are made for it, others are fitted in. */
function aspect() {
  const [range] = loadedRanges();
  if (typicalAspect !== undefined || !range) return typicalAspect ?? 1;
  const [first, end] = range;
  const sizes = Array.from({ length: Math.min(end - first, 500) }, (_, place) => sizeOf(first + place));
  const ratios = sizes.map(({ width, height }) => width / height).sort((a, b) => a - b);
  typicalAspect = clamp(ratios[ratios.length >> 1], 0.6, 1.8);
  return typicalAspect;
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

/** @type {Map<string, Element>} */
const shownPictures = new Map();

/**
 * Draws a sheet anew with the pictures that it shows already: they are not loaded and decoded again.
 *
 * @param {Sheet} sheet
 * @param {() => void} draw
 */
export function withPicturesOf(sheet, draw) {
  sheet.eachCell((node) => {
    const shown = node.querySelector(".thumb");
    if (shown && node.dataset.run) shownPictures.set(node.dataset.run, shown);
  });
  draw();
  shownPictures.clear();
}

/** A cell whose run is under way. */
const waitingCell = () => element("div", { class: "cell empty", "aria-label": "loading" });

/**
 * A cell: its first run's picture, the number of its runs, the button that picks it, and its loss.
 *
 * @param {Runs} cellRuns
 * @param {(string | null)[]} except
 */
function runCell(cellRuns, except) {
  if (!cellRuns.length) return element("div", { class: "cell empty", "aria-label": "no run" });
  const [run] = cellRuns;
  const id = idOf(run);
  const node = element(
    "div",
    { class: "cell", "data-run": id },
    shownPictures.get(id) ?? picture(thumbPath(id), "", { class: "thumb" }),
  );
  if (cellRuns.length > 1)
    node.append(element("span", { class: "count", title: `${cellRuns.length} runs` }, String(cellRuns.length)));
  node.append(pickButton());
  const tone = toner()(run);
  if (tone >= 0) node.append(toneBar(tone));
  if (isBest(run)) node.append(bestMark());
  if (state.view === "grid" || hasFigures()) node.append(caption(run));
  markPicked(node);
  node.dataset.words = cellWords(cellRuns, except);
  markChoice(node);
  return node;
}

/** Whether cells show numbers: what orders them, and what colours them. */
const hasFigures = () => state.sort !== "order" || state.color !== null;

/** @param {number} tone */
function toneBar(tone) {
  const bar = element("span", { class: "tone" });
  bar.style.background = TONES[tone];
  return bar;
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
  const loss = hasFigures()
    ? element(
        "span",
        { class: "figure" },
        figures(run)
          .map(([, figure]) => figure)
          .join(" · "),
      )
    : null;
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
 * The numbers that order and colour, by name.
 *
 * @param {number} run
 * @returns {[name: string, figure: string][]}
 */
function figures(run) {
  const keys = new Set([state.sort === "order" ? null : state.sort, state.color]);
  return [...keys].flatMap((key) => {
    const number = key === null ? null : reader(key)(run);
    return key === null ? [] : [[quantityWords(key), formatLoss(Number.isNaN(number) ? null : number)]];
  });
}

/**
 * @param {Runs} cellRuns
 * @param {(string | null)[]} except
 */
function cellWords(cellRuns, except) {
  const [run] = cellRuns;
  const several = cellRuns.length > 1 ? [`first of ${cellRuns.length} runs`] : [];
  const best = isBest(run) ? [bestWords()] : [];
  const numbers = figures(run).map((pair) => pair.join(" "));
  return [...describeRun(run, except), ...several, ...best, ...numbers].join(", ");
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
  return `by ${numberWords(state.sort)}, ${state.descending ? "highest" : "lowest"} first`;
}
