/* The scatter: every run by two of its quantities, with the Pareto front; a rectangle drawn in it filters all views. */

import { brushTests, shownRuns } from "./arrange.js";
import { brushForm, drawBrushForm } from "./brush.js";
import { idOf, loadCount, runTitle } from "./data.js";
import { button, byId, clamp, counted, element, foreign, formatLoss, picture, thumbPath } from "./dom.js";
import { orderBy, paretoFront } from "./front.js";
import { inBrush, paintOver, paintPoints } from "./paint.js";
import { Points, scaleOf, valueAt } from "./plot.js";
import { quantities, quantityWords, reader } from "./quantities.js";
import { change, state, togglePick } from "./state.js";

/** @import { Brush, Runs } from "./types" */
/** @import { Plot, Rectangle } from "./paint.js" */
/** @import { Scale } from "./plot.js" */

const MARGIN_PX = { left: 62, right: 14, top: 12, bottom: 30 };
const FRONT_LISTED = 200;
const DRAG_FROM_PX = 5;
const NO_RUNS = new Uint32Array();

/** @type {Plot | null} */
let plot = null;
let plotKey = "";
let paintKey = "";
/** @type {number | null} the place of the point that keyboard or pointer is at */
let current = null;
/** @type {Rectangle | null} the rectangle that is being drawn */
let drag = null;
let openedFromList = false;

/** Builds the view, once. */
export function buildScatter() {
  const area = element(
    "div",
    {
      class: "plot-area",
      id: "plot",
      role: "application",
      tabindex: "0",
      "aria-describedby": "scatter-hint",
    },
    element("canvas", { class: "points" }),
    element("canvas", { class: "over" }),
    element("div", { class: "point-card", id: "point-card", hidden: true, "aria-hidden": "true" }),
  );
  byId("scatter").append(
    element(
      "figure",
      { class: "plot" },
      element("figcaption", { class: "y-title", id: "y-title" }),
      area,
      element("p", { class: "x-title", id: "x-title" }),
    ),
    element(
      "aside",
      { class: "beside", "aria-label": "Pareto front and rectangle", tabindex: "0" },
      brushForm(),
      element("h2", {}, "Pareto front"),
      element("p", { class: "remark", id: "front-words" }),
      element("ol", { class: "front", id: "front" }),
    ),
    element("p", { class: "unseen", role: "status", id: "point-status" }),
  );
  listen(area);
}

/** @param {HTMLElement} area */
function listen(area) {
  area.addEventListener("keydown", onKey);
  area.addEventListener("focus", () => {
    if (area.matches(":focus-visible")) setCurrent(current ?? plot?.byX[0] ?? null, true);
  });
  area.addEventListener("blur", () => setCurrent(null, false));
  area.addEventListener("pointerdown", onPress);
  area.addEventListener("pointermove", onMove);
  area.addEventListener("pointerup", onRelease);
  area.addEventListener("pointercancel", () => endDrag());
  area.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType !== "touch" && !drag && area !== document.activeElement) setCurrent(null, false);
  });
  new ResizeObserver(() => drawScatter()).observe(area);
}

/** Brings the view up to date, or hides it. */
export function drawScatter() {
  const panel = byId("scatter");
  panel.hidden = state.view !== "scatter" || loadCount() === 0;
  if (panel.hidden || state.x === null || state.y === null) return forget();
  const { clientWidth: width, clientHeight: height } = byId("plot");
  const filters = [...state.filters].map(([key, codes]) => [key, [...codes]]);
  const runs = shownRuns({ brushed: false });
  const key = JSON.stringify([state.x, state.y, filters, state.chosen, runs.length, loadCount(), width, height]);
  if (key !== plotKey) layOut(runs, state.x, state.y, width, height);
  plotKey = key;
  paint(false);
  drawBrushForm(plot ? inBrush(plot).length : 0);
}

function forget() {
  plot = null;
  plotKey = paintKey = "";
  current = null;
}

/** Paints anew at the next drawing, as when the colours change. */
export function forgetPaint() {
  paintKey = "";
}

/**
 * @param {Runs} runs
 * @param {string} x
 * @param {string} y
 * @param {number} width
 * @param {number} height
 */
function layOut(runs, x, y, width, height) {
  const focused = current === null || !plot ? undefined : plot.runs[current];
  const [readX, readY] = [reader(x), reader(y)];
  const known = runs.filter((run) => !Number.isNaN(readX(run)) && !Number.isNaN(readY(run)));
  const [xs, ys] = [Float64Array.from(known, readX), Float64Array.from(known, readY)];
  const [xScale, yScale] = [scaleOf(xs), scaleOf(ys)];
  const { left, right, top, bottom } = MARGIN_PX;
  const area = { left, top, width: Math.max(width - left - right, 1), height: Math.max(height - top - bottom, 1) };
  const points = new Points(xs, ys, xScale, yScale, area);
  const byX = orderBy(xs, ys);
  plot = {
    runs: known,
    missing: runs.length - known.length,
    xs,
    ys,
    xScale,
    yScale,
    points,
    byX,
    byY: null,
    front: null,
  };
  plot.front = frontOf(plot);
  paintKey = "";
  const place = focused === undefined ? -1 : known.indexOf(focused);
  current = place < 0 ? null : place;
  drawWords(plot);
  listFront(plot);
}

/** @param {Plot} plot */
function frontOf({ xs, ys, byX }) {
  const [x, y] = [quantities.get(state.x ?? "")?.better, quantities.get(state.y ?? "")?.better];
  return x && y && state.x !== state.y ? paretoFront(xs, ys, byX, x, y) : null;
}

/** @param {Plot} plot */
function drawWords({ runs, missing, xScale, yScale, front }) {
  byId("x-title").replaceChildren(axisTitle(state.x, xScale, "→", "←"));
  byId("y-title").replaceChildren(axisTitle(state.y, yScale, "↑", "↓"));
  const ends = front ? `, ${counted(front.length, "run")} on the Pareto front` : "";
  byId("plot").setAttribute(
    "aria-label",
    `${counted(runs.length, "run")} by ${quantityWords(state.x ?? "")} and ${quantityWords(state.y ?? "")}${ends}`,
  );
  const without = missing ? ` ${counted(missing, "run")} without both numbers not shown.` : "";
  byId("front-words").textContent =
    (front
      ? `${counted(front.length, "run")} than which no other is better in one and at least as good in the other.`
      : "A front needs two different numbers of which it is known whether less or more is better.") + without;
}

/**
 * @param {string | null} key
 * @param {Scale} scale
 * @param {string} more the arrow towards more
 * @param {string} less
 */
function axisTitle(key, { log }, more, less) {
  const better = quantities.get(key ?? "")?.better;
  const way = better === "max" ? `, better ${more}` : better === "min" ? `, better ${less}` : "";
  return element("span", {}, foreign(quantityWords(key ?? "")), `${log ? ", logarithmic" : ""}${way}`);
}

/** @param {Plot} plot */
function listFront({ runs, xs, ys, front }) {
  const listed = (front ?? []).slice(0, FRONT_LISTED).map((place) => {
    const id = idOf(runs[place]);
    const node = button("", () => open(place, true), { class: "front-run", "data-run": id });
    node.replaceChildren(
      picture(thumbPath(id), "", { loading: "lazy" }),
      foreign(runTitle(runs[place]), "front-name"),
      element("span", { class: "figure" }, `${pairWords(xs[place], ys[place])}`),
    );
    node.addEventListener("focus", () => setCurrent(place, false));
    node.addEventListener("blur", () => setCurrent(null, false));
    node.addEventListener("pointerenter", () => setCurrent(place, false));
    node.addEventListener("pointerleave", () => setCurrent(null, false));
    return element("li", {}, node);
  });
  const more = (front?.length ?? 0) - listed.length;
  if (more > 0) listed.push(element("li", { class: "remark" }, `and ${more.toLocaleString("en")} more`));
  byId("front").replaceChildren(...listed);
}

/**
 * @param {number} x
 * @param {number} y
 */
function pairWords(x, y) {
  const of = (/** @type {string | null} */ key) => quantityWords(key ?? "");
  return `${of(state.x)} ${formatLoss(x)}, ${of(state.y)} ${formatLoss(y)}`;
}

/** Draws what has changed; the points only if they have. */
function paint(overOnly = true) {
  if (!plot) return;
  const key = `${plotKey} ${state.brush} ${state.color}`;
  if (!overOnly && key !== paintKey) {
    paintPoints(plot);
    paintKey = key;
  }
  paintOver(plot, current, drag);
}

/**
 * Goes to a point, or to none, and shows its picture; `spoken` tells a screen reader.
 *
 * @param {number | null} place
 * @param {boolean} spoken
 */
function setCurrent(place, spoken) {
  if (place === current && !spoken) return;
  current = place;
  const area = byId("plot");
  if (!plot || place === null) {
    area.removeAttribute("data-run");
    byId("point-card").hidden = true;
  } else {
    area.dataset.run = idOf(plot.runs[place]);
    showCard(plot, place);
    if (spoken) byId("point-status").textContent = pointWords(plot, place);
  }
  paint();
}

/**
 * @param {Plot} plot
 * @param {number} place
 */
function pointWords({ runs, xs, ys, front }, place) {
  const ends = front?.includes(place) ? ["on the front"] : [];
  return [runTitle(runs[place]), pairWords(xs[place], ys[place]), ...ends].join(", ");
}

/**
 * @param {Plot} plot
 * @param {number} place
 */
function showCard(plot, place) {
  const card = byId("point-card");
  const { left, top } = plot.points;
  const id = idOf(plot.runs[place]);
  card.replaceChildren(
    picture(thumbPath(id), ""),
    element("p", {}, foreign(runTitle(plot.runs[place]))),
    element("p", { class: "figure" }, pairWords(plot.xs[place], plot.ys[place])),
  );
  card.hidden = false;
  const { clientWidth, clientHeight } = byId("plot");
  const right = left[place] + 14 + card.offsetWidth <= clientWidth;
  const at = right ? left[place] + 14 : left[place] - 14 - card.offsetWidth;
  card.style.left = `${clamp(at, 0, Math.max(clientWidth - card.offsetWidth, 0))}px`;
  card.style.top = `${clamp(top[place] - card.offsetHeight / 2, 0, Math.max(clientHeight - card.offsetHeight, 0))}px`;
}

/** @param {KeyboardEvent} event */
function onKey(event) {
  if (!plot || event.altKey || event.metaKey || event.ctrlKey) return;
  const id = current === null ? null : idOf(plot.runs[current]);
  if (event.key === "Enter" && current !== null) open(current, false);
  else if (event.key === " " && id) togglePick(id);
  else if (event.key === "Escape" && (drag || state.brush)) drag ? endDrag() : change({ brush: null });
  else if (!step(plot, event.key)) return;
  event.preventDefault();
}

/**
 * Goes on by a key; whether it is one that does.
 *
 * @param {Plot} plot
 * @param {string} key
 */
function step(plot, key) {
  const byY = (plot.byY ??= orderBy(plot.ys, plot.xs));
  /** @type {Record<string, [places: ArrayLike<number>, by: number]>} */
  const steps = {
    ArrowLeft: [plot.byX, -1],
    ArrowRight: [plot.byX, 1],
    ArrowUp: [byY, 1],
    ArrowDown: [byY, -1],
    PageUp: [plot.front ?? [], -1],
    PageDown: [plot.front ?? [], 1],
    Home: [plot.byX, -Infinity],
    End: [plot.byX, Infinity],
  };
  if (!(key in steps)) return false;
  const [places, by] = steps[key];
  if (!places.length) return true;
  const at = current === null ? -1 : Array.prototype.indexOf.call(places, current);
  setCurrent(places[at < 0 && Number.isFinite(by) ? 0 : clamp(at + by, 0, places.length - 1)], true);
  return true;
}

/**
 * @param {number} place
 * @param {boolean} fromList
 */
function open(place, fromList) {
  openedFromList = fromList;
  if (plot) change({ run: idOf(plot.runs[place]) }, { push: true });
}

/** @param {PointerEvent} event */
function placeOf(event) {
  const { left, top } = byId("plot").getBoundingClientRect();
  return { left: event.clientX - left, top: event.clientY - top };
}

/** @param {PointerEvent} event */
function onPress(event) {
  if (event.button !== 0) return;
  const { left, top } = placeOf(event);
  drag = { left, top, toLeft: left, toTop: top };
  byId("plot").setPointerCapture(event.pointerId);
}

/** @param {PointerEvent} event */
function onMove(event) {
  const { left, top } = placeOf(event);
  if (drag) Object.assign(drag, { toLeft: left, toTop: top });
  if (drag && isDrawn(drag)) {
    byId("point-card").hidden = true;
    paint();
  } else setCurrent(plot?.points.nearest(left, top) ?? null, false);
}

/** @param {PointerEvent} event */
function onRelease(event) {
  const drawn = drag;
  endDrag();
  if (drawn && plot && isDrawn(drawn)) return change({ brush: brushOf(plot, drawn) }, { push: true });
  const { left, top } = placeOf(event);
  const place = plot?.points.nearest(left, top);
  const again = place !== undefined && place === shownByTouch;
  shownByTouch = event.pointerType === "touch" ? (place ?? null) : null;
  if (plot && place !== undefined && (again || event.pointerType !== "touch")) {
    return open(place, false);
  }
  setCurrent(place ?? null, true);
}

/** @type {number | null} a finger shows a picture first, and opens it when it comes again */
let shownByTouch = null;

function endDrag() {
  drag = null;
  paint();
}

/** @param {Rectangle} rectangle */
const isDrawn = ({ left, top, toLeft, toTop }) => Math.hypot(toLeft - left, toTop - top) > DRAG_FROM_PX;

/**
 * @param {Plot} plot
 * @param {Rectangle} rectangle
 * @returns {Brush}
 */
function brushOf({ points: { area }, xScale, yScale }, { left, top, toLeft, toTop }) {
  const across = [left, toLeft].map((at) => (at - area.left) / area.width).sort((a, b) => a - b);
  const up = [top, toTop].map((at) => 1 - (at - area.top) / area.height).sort((a, b) => a - b);
  return [valueAt(xScale, across[0]), valueAt(xScale, across[1]), valueAt(yScale, up[0]), valueAt(yScale, up[1])];
}

/** The runs that an open picture's arrow keys go through: those in the rectangle, by x. */
export function scatterSequence() {
  if (!plot) return NO_RUNS;
  const { runs, byX } = plot;
  const tests = brushTests();
  return Uint32Array.from(byX, (place) => runs[place]).filter((run) => tests.every((passes) => passes(run)));
}

/**
 * Back from an open picture to its point, or to the list in which it was opened.
 *
 * @param {number} run
 */
export function focusPoint(run) {
  const listed = byId("front").querySelector(`[data-run="${CSS.escape(idOf(run))}"]`);
  if (openedFromList && listed instanceof HTMLElement) return listed.focus();
  byId("plot").focus();
  const place = plot?.runs.indexOf(run) ?? -1;
  setCurrent(place < 0 ? null : place, true);
}
