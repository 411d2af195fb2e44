/* The page: loads the runs, and draws whatever the view says. */

let sheet;
let model;
let drawnKey = "";
let drawnArrangement = "";
let loadTrouble = null;

/** Brings everything up to date with the view. */
function render() {
  drawControls();
  drawSheet();
  drawFailures();
  drawTray();
  drawStatus();
  if (runs.count === index.runs) {
    drawDetail(state.run === null ? [] : model?.sequence() ?? []);
    drawCompare();
  }
}

/** What the place of each run depends on. */
function arrangementKey() {
  const filters = [...state.filters].map(([key, codes]) => [key, [...codes]]);
  return JSON.stringify([state.view, state.rows, state.cols, state.sort, state.descending, filters]);
}

/** What the sheet depends on: picks and dialogs are not part of it. */
function sheetKey(width) {
  return `${arrangementKey()} ${state.size} ${runs.count} ${width}`;
}

/** The room that the sheet has for its cells. */
function innerWidthOf(scroller) {
  const { paddingLeft, paddingRight } = getComputedStyle(scroller);
  return scroller.clientWidth - Number.parseFloat(paddingLeft) - Number.parseFloat(paddingRight);
}

function drawSheet() {
  const scroller = byId("sheet");
  scroller.hidden = state.view === "failed" || runs.count === 0;
  if (scroller.hidden) { drawnKey = ""; model = null; return drawNotice(null); }
  const key = sheetKey(innerWidthOf(scroller));
  if (key !== drawnKey) redrawSheet(scroller, key);
  else sheet.schedule();
  scroller.classList.toggle("picking", state.picks.length > 0);
  sheet.eachCell(markPicked);
}

function redrawSheet(scroller, key) {
  const shown = shownRuns();
  const width = innerWidthOf(scroller);
  model = state.view === "grid" ? gridModel(shown, width) : matrixModel(shown, width);
  model.shown = shown.length;
  scroller.classList.toggle("flat", state.view === "grid");
  sheet.show(model, arrangementKey() !== drawnArrangement);
  byId("size").value = state.size ?? model.cellWidth;
  drawnKey = key;
  drawnArrangement = arrangementKey();
  drawNotice(shown.length);
}

function drawNotice(shown) {
  const text = index.runs + index.failures === 0 ? "There are no runs yet." : "No run passes these filters.";
  byId("notice").hidden = index.runs + index.failures > 0 && shown !== 0;
  byId("notice").textContent = text;
}

function drawStatus() {
  if (loadTrouble !== null) return announce(loadTrouble);
  const loaded = runs.count < index.runs ? "loading " : "";
  const all = counted(index.runs, "run");
  const shown = model?.shown ?? index.runs;
  announce(loaded + (shown < index.runs && !loaded ? `${shown.toLocaleString("en")} of ${all}` : all));
}

/** Says something that a screen reader should say, too. */
function announce(text) {
  if (byId("status").textContent !== text) byId("status").textContent = text;
}

function openCell(row, column) {
  const [run] = model.runsAt(row, column);
  if (run !== undefined) change({ run: runs.ids[run] }, { push: true });
}

function pickCell(row, column) {
  const [run] = model.runsAt(row, column);
  if (run !== undefined) togglePick(runs.ids[run]);
}

/** Back from the dialog to the cell of the picture seen last. */
function focusRun(run) {
  const place = model?.placeOf(run);
  if (place) sheet.focusCell(place.row, place.column);
}

function readAddress() {
  forgetPendingAddress();
  Object.assign(state, readHash(location.hash));
  if (!viewExists(state.view)) state.view = initialState().view;
  render();
}

async function start() {
  Object.assign(state, initialState());
  sheet = new Sheet(byId("sheet"), { open: openCell, pick: pickCell });
  buildControls();
  prepareDetail(focusRun);
  prepareCompare(() => byId("open-compare")?.focus());
  addEventListener("popstate", readAddress);
  new ResizeObserver(render).observe(byId("main"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawCharts);
  readAddress();
  try {
    await loadRuns(render);
    render();
  } catch (error) {
    loadTrouble = error.message;
    render();
  }
}

/** New colours: the open dialog is built anew. */
function redrawCharts() {
  detail.run = null;
  comparison.ids = "";
  render();
}

start();
