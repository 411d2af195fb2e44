/* What the scatter looks like: axes and points on one canvas; front, rectangle and the ring around a point on another. */

import { brushTests } from "./arrange.js";
import { byId, clamp, find } from "./dom.js";
import { drawAxes, drawPoints, share } from "./plot.js";
import { state } from "./state.js";
import { TONES, toner } from "./tones.js";

/** @import { Runs } from "./types" */
/** @import { Points, Scale } from "./plot.js" */

/**
 * What is drawn: points by their place among `runs`.
 *
 * @typedef {{
 *   runs: Runs, missing: number, xs: Float64Array, ys: Float64Array, xScale: Scale, yScale: Scale, points: Points,
 *   byX: Uint32Array, byY: Uint32Array | null, front: number[] | null,
 * }} Plot
 */

/** @typedef {{ left: number, top: number, toLeft: number, toTop: number }} Rectangle */

/**
 * The places of the points inside the rectangle; all without one.
 *
 * @param {Plot} plot
 */
export function inBrush({ runs }) {
  const tests = brushTests();
  return Uint32Array.from(runs.keys()).filter((place) => tests.every((passes) => passes(runs[place])));
}

/**
 * A canvas of the plot, cleared, at the screen's resolution.
 *
 * @param {string} selector
 */
function cleared(selector) {
  const area = byId("plot");
  const canvas = find(area, selector);
  const context = canvas instanceof HTMLCanvasElement ? canvas.getContext("2d") : null;
  if (!(canvas instanceof HTMLCanvasElement) || !context) throw new Error("this browser has no canvas");
  const ratio = devicePixelRatio || 1;
  canvas.width = Math.round(area.clientWidth * ratio);
  canvas.height = Math.round(area.clientHeight * ratio);
  context.scale(ratio, ratio);
  return context;
}

function look() {
  const style = getComputedStyle(document.documentElement);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    ink: color("--ink-soft"),
    rule: color("--rule"),
    point: color("--point"),
    faint: color("--point-faint"),
    accent: color("--accent"),
    focus: color("--focus"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
}

/**
 * Draws the axes and the points, those outside the rectangle faint.
 *
 * @param {Plot} plot
 */
export function paintPoints(plot) {
  const context = cleared(".points");
  const { point, faint, ...rest } = look();
  drawAxes(context, plot.xScale, plot.yScale, plot.points.area, rest);
  const inside = inBrush(plot);
  const tone = toner();
  const tones = Int8Array.from(plot.runs, (run) => tone(run));
  const toned = TONES.map((color, number) => ({
    color,
    places: inside.filter((place) => tones[place] === number),
  }));
  if (state.brush || state.color) drawPoints(context, plot.points, [{ places: plot.runs.keys(), color: faint }]);
  if (state.color === null) drawPoints(context, plot.points, [{ places: inside, color: point }]);
  else drawPoints(context, plot.points, toned, rest.ink);
}

/**
 * Draws what lies over the points: the front, a rectangle, a ring around the point that is looked at.
 *
 * @param {Plot} plot
 * @param {number | null} current
 * @param {Rectangle | null} drag the rectangle that is being drawn
 */
export function paintOver(plot, current, drag) {
  const context = cleared(".over");
  const { accent, focus } = look();
  drawFront(context, plot, accent);
  drawRectangle(context, plot, drag, accent);
  if (current !== null) {
    ring(context, plot, current, 7, focus);
    ring(context, plot, current, 9, focus);
  }
}

/**
 * The front as steps: no run lies on their better side.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {string} color
 */
function drawFront(context, { points: { left, top }, front }, color) {
  if (!front?.length) return;
  Object.assign(context, { strokeStyle: color, lineWidth: 1.5 });
  context.beginPath();
  context.moveTo(left[front[0]], top[front[0]]);
  for (let place = 1; place < front.length; place++) {
    context.lineTo(left[front[place]], top[front[place - 1]]);
    context.lineTo(left[front[place]], top[front[place]]);
  }
  context.stroke();
  for (const place of front) {
    context.beginPath();
    context.arc(left[place], top[place], 5.5, 0, 2 * Math.PI);
    context.stroke();
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {number} place
 * @param {number} radius
 * @param {string} color
 */
function ring(context, { points: { left, top } }, place, radius, color) {
  Object.assign(context, { strokeStyle: color, lineWidth: 2 });
  context.beginPath();
  context.arc(left[place], top[place], radius, 0, 2 * Math.PI);
  context.stroke();
}

/**
 * The rectangle that is being drawn, or else the one that filters.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Plot} plot
 * @param {Rectangle | null} drag
 * @param {string} color
 */
function drawRectangle(context, { points: { area }, xScale, yScale }, drag, color) {
  if (!drag && !state.brush) return;
  const [xFrom, xTo, yFrom, yTo] = state.brush ?? [];
  const across = (/** @type {number | null | undefined} */ x, /** @type {number} */ open) =>
    area.left + area.width * clamp(x === null || x === undefined ? open : sharesOf(xScale, x), 0, 1);
  const down = (/** @type {number | null | undefined} */ y, /** @type {number} */ open) =>
    area.top + area.height * (1 - clamp(y === null || y === undefined ? open : sharesOf(yScale, y), 0, 1));
  const box = drag ?? { left: across(xFrom, 0), toLeft: across(xTo, 1), top: down(yTo, 1), toTop: down(yFrom, 0) };
  Object.assign(context, { strokeStyle: color, lineWidth: 1 });
  context.setLineDash([4, 3]);
  context.strokeRect(box.left, box.top, box.toLeft - box.left, box.toTop - box.top);
  context.setLineDash([]);
}

/** A place on a scale; on a logarithmic one, zero and less lie at its low end. */
function sharesOf(/** @type {Scale} */ scale, /** @type {number} */ value) {
  return scale.log && value <= 0 ? 0 : share(scale, value);
}
