/* The page loads the runs and draws the view. */

import { askForRuns, isWaiting, shownRuns } from "./arrange.js";
import { drawCompare, drawTray, forgetCompare, prepareCompare } from "./compare.js";
import { onChoice } from "./choices.js";
import { markChoice, prepareChoosing } from "./choosing.js";
import { buildControls, drawControls, viewExists } from "./controls.js";
import { haveRun, haveRuns, idOf, index, loadCount, loadTrouble, onLoaded, runOf } from "./data.js";
import { drawDetail, forgetDetail, prepareDetail } from "./detail.js";
import { announce, byId, counted } from "./dom.js";
import { drawFailures } from "./failures.js";
import { Sheet } from "./grid.js";
import { prepareHelp } from "./help.js";
import { drawLegend, findBest } from "./marks.js";
import { gridModel, markPicked, matrixModel, withPicturesOf } from "./matrix.js";
import { buildScatter, drawScatter, focusPoint, forgetPaint, scatterSequence } from "./scatter.js";
import { change, forgetPendingAddress, initialState, onChange, readHash, state, togglePick } from "./state.js";

/** @import { Model } from "./types" */

const NONE = new Uint32Array();
const sheet = new Sheet(byId("sheet"), { open: openCell, pick: pickCell });
/** @type {(Model & { shown: number }) | null} */
let model = null;
let choiceChanges = 0;
let drawnKey = "";
let drawnArrangement = "";

/** Brings everything up to date with the view. */
function render() {
  askForRuns();
  drawControls();
  drawSheet();
  drawScatter();
  drawLegend();
  drawFailures();
  drawTray();
  drawStatus();
  if (namedRunsAreThere()) {
    drawDetail(state.run === null ? NONE : sequence());
    drawCompare();
  }
}

/** Whether the runs that the address names are there, or exist nowhere. */
function namedRunsAreThere() {
  const named = state.run === null ? state.picks : [state.run, ...state.picks];
  return named.every((id) => runOf(id) !== undefined) || haveRuns();
}

/** The runs that the arrow keys of an open picture go through. */
function sequence() {
  return state.view === "scatter" ? scatterSequence() : (model?.sequence() ?? NONE);
}

/** A text that changes when runs change their places. */
function arrangementKey() {
  const { view, rows, cols, sort, descending, chosen } = state;
  const filters = [...state.filters].map(([key, codes]) => [key, [...codes]]);
  const brush = state.brush && [state.x, state.y, state.brush];
  return JSON.stringify([view, rows, cols, sort, descending, chosen, filters, brush]);
}

/**
 * A text that changes when the sheet must be drawn anew; picks and dialogs do not matter to it.
 *
 * @param {number} width
 */
function sheetKey(width) {
  const choice = state.chosen === "all" ? 0 : choiceChanges;
  return `${arrangementKey()} ${choice} ${state.size} ${loadCount()} ${width} ${state.color} ${state.best} ${state.bestOf}`;
}

/**
 * The room that the sheet has for its cells.
 *
 * @param {HTMLElement} scroller
 */
function innerWidthOf(scroller) {
  const { paddingLeft, paddingRight } = getComputedStyle(scroller);
  return scroller.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
}

function drawSheet() {
  const scroller = byId("sheet");
  scroller.hidden = state.view === "failed" || state.view === "scatter" || loadCount() === 0;
  if (scroller.hidden) {
    drawnKey = "";
    model = null;
    return drawNotice(state.view === "scatter" && haveRuns() ? shownRuns({ brushed: false }).length : null);
  }
  const key = sheetKey(innerWidthOf(scroller));
  if (key !== drawnKey) redrawSheet(scroller, key);
  else sheet.schedule();
  scroller.classList.toggle("picking", state.picks.length > 0);
  sheet.eachCell(markPicked);
  sheet.eachCell(markChoice);
}

/**
 * @param {HTMLElement} scroller
 * @param {string} key
 */
function redrawSheet(scroller, key) {
  const shown = shownRuns();
  findBest(shown);
  const width = innerWidthOf(scroller);
  const makeModel = state.view === "grid" ? gridModel : matrixModel;
  model = { ...makeModel(shown, width), shown: shown.length };
  scroller.classList.toggle("flat", state.view === "grid");
  const drawn = model;
  withPicturesOf(sheet, () => sheet.show(drawn, arrangementKey() !== drawnArrangement));
  byId("size", HTMLInputElement).value = String(state.size ?? model.cellWidth);
  drawnKey = key;
  drawnArrangement = arrangementKey();
  drawNotice(shown.length);
}

/** @param {number | null} shown */
function drawNotice(shown) {
  const text = index.runs + index.failures === 0 ? "There are no runs yet." : "No run passes these filters.";
  byId("notice").hidden = index.runs + index.failures > 0 && shown !== 0;
  byId("notice").textContent = text;
}

function drawStatus() {
  const trouble = loadTrouble();
  if (trouble !== null) return announce(trouble);
  const loaded = isWaiting() ? "loading " : "";
  const all = counted(index.runs, "run");
  const shown = state.view === "scatter" ? shownRuns().length : (model?.shown ?? index.runs);
  announce(loaded + (shown < index.runs && !loaded ? `${shown.toLocaleString("en")} of ${all}` : all));
}

/**
 * @param {number} row
 * @param {number} column
 */
function openCell(row, column) {
  const [run] = model?.runsAt(row, column) ?? NONE;
  if (run !== undefined && haveRun(run)) change({ run: idOf(run) }, { push: true });
}

/**
 * @param {number} row
 * @param {number} column
 */
function pickCell(row, column) {
  const [run] = model?.runsAt(row, column) ?? NONE;
  if (run !== undefined && haveRun(run)) togglePick(idOf(run));
}

/**
 * Back from the dialog to the cell of the picture seen last.
 *
 * @param {number} run
 */
function focusRun(run) {
  if (state.view === "scatter") return focusPoint(run);
  const place = model?.placeOf(run);
  if (place) sheet.focusCell(place.row, place.column);
}

function readAddress() {
  forgetPendingAddress();
  Object.assign(state, readHash(location.hash));
  if (!viewExists(state.view)) state.view = initialState().view;
  render();
}

function start() {
  onChange(render);
  onLoaded(render);
  onChoice(() => {
    choiceChanges += 1;
    render();
  });
  buildControls();
  buildScatter();
  prepareChoosing();
  prepareHelp();
  prepareDetail(focusRun);
  prepareCompare(() => document.getElementById("open-compare")?.focus());
  addEventListener("popstate", readAddress);
  new ResizeObserver(render).observe(byId("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
  readAddress();
}

/** New colours: the open dialog is built anew. */
function redrawCharts() {
  forgetDetail();
  forgetCompare();
  forgetPaint();
  render();
}

start();
