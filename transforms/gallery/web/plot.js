/* A plot of points on a canvas: its scales, its ticks, where each point lies, and which is nearest. */

import { grouped } from "./arrange.js";
import { clamp, formatLoss } from "./dom.js";

/* A quantity that spans this much is drawn on a logarithmic scale. */
const LOGARITHMIC_FROM = 100;
const PADDING = 0.04;
const BUCKET_PX = 24;

/** @typedef {{ log: boolean, low: number, high: number }} Scale `low` and `high` are logarithms if it is logarithmic */

/**
 * The range of those values that are numbers; null without one.
 *
 * @param {Iterable<number>} values
 * @returns {Scale | null}
 */
export function rangeOf(values) {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  if (least > most) return null;
  const log = least > 0 && most / least >= LOGARITHMIC_FROM;
  return log ? { log, low: Math.log10(least), high: Math.log10(most) } : { log, low: least, high: most };
}

/**
 * A scale on which all numbers have room.
 *
 * @param {Iterable<number>} values
 * @returns {Scale}
 */
export function scaleOf(values) {
  const { log, low, high } = rangeOf(values) ?? { log: false, low: 0, high: 1 };
  const room = PADDING * (high - low) || Math.abs(low) * PADDING || 1;
  return { log, low: low - room, high: high + room };
}

/**
 * Where a value lies on a scale, from 0 to 1.
 *
 * @param {Scale} scale
 * @param {number} value
 */
export function share({ log, low, high }, value) {
  return high > low ? ((log ? Math.log10(value) : value) - low) / (high - low) : value - value;
}

/**
 * The value at a place of a scale, in five digits.
 *
 * @param {Scale} scale
 * @param {number} part
 */
export function valueAt({ log, low, high }, part) {
  const at = low + part * (high - low);
  return Number((log ? 10 ** at : at).toPrecision(5));
}

/**
 * Round values on a scale: whole powers of ten on a logarithmic one.
 *
 * @param {Scale} scale
 * @param {number} most how many have room
 */
export function ticks({ log, low, high }, most) {
  const step = log ? Math.ceil((high - low) / most) : roundStep((high - low) / most);
  const values = [];
  for (let at = Math.ceil(low / step); at * step <= high; at++) values.push(log ? 10 ** (at * step) : at * step);
  return values.map((value) => ({ value, label: formatLoss(Number(value.toPrecision(12))) }));
}

/** The least of 1, 2 and 5 times a power of ten that is at least so much. */
function roundStep(/** @type {number} */ least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * ([1, 2, 5].find((factor) => factor * power >= least) ?? 10);
}

/** @typedef {{ left: number, top: number, width: number, height: number }} Area in CSS pixels */

/** Points in an area, found by their place there. */
export class Points {
  /**
   * @param {Float64Array} xs
   * @param {Float64Array} ys
   * @param {Scale} xScale
   * @param {Scale} yScale
   * @param {Area} area
   */
  constructor(xs, ys, xScale, yScale, area) {
    this.area = area;
    this.left = Float32Array.from(xs, (x) => area.left + share(xScale, x) * area.width);
    this.top = Float32Array.from(ys, (y) => area.top + (1 - share(yScale, y)) * area.height);
    this.across = Math.max(Math.ceil(area.width / BUCKET_PX), 1);
    this.down = Math.max(Math.ceil(area.height / BUCKET_PX), 1);
    const places = Uint32Array.from(xs, (_, place) => place);
    const bucket = (/** @type {number} */ place) => this.bucket(this.left[place], this.top[place]);
    const { runs, starts } = grouped(places, bucket, this.across * this.down);
    this.places = runs;
    this.starts = starts;
  }

  /**
   * @param {number} left
   * @param {number} top
   */
  bucket(left, top) {
    return this.row(top) * this.across + this.column(left);
  }

  column(/** @type {number} */ left) {
    return clamp(Math.floor((left - this.area.left) / BUCKET_PX), 0, this.across - 1);
  }

  row(/** @type {number} */ top) {
    return clamp(Math.floor((top - this.area.top) / BUCKET_PX), 0, this.down - 1);
  }

  /**
   * The nearest point within a bucket's width; undefined where there is none.
   *
   * @param {number} left
   * @param {number} top
   * @returns {number | undefined}
   */
  nearest(left, top) {
    let nearest;
    let least = BUCKET_PX ** 2;
    for (let row = this.row(top - BUCKET_PX); row <= this.row(top + BUCKET_PX); row++) {
      const from = this.starts[row * this.across + this.column(left - BUCKET_PX)];
      const to = this.starts[row * this.across + this.column(left + BUCKET_PX) + 1];
      for (const place of this.places.subarray(from, to)) {
        const distance = (this.left[place] - left) ** 2 + (this.top[place] - top) ** 2;
        if (distance < least) [nearest, least] = [place, distance];
      }
    }
    return nearest;
  }
}

const FEW_POINTS = 4_000;
const RADIUS_PX = { few: 4, many: 1.25 };

/**
 * Draws points, the groups one after the other: round ones, of very many small squares.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Points} points
 * @param {{ places: Iterable<number>, color: string }[]} groups
 * @param {string | null} outline of round points
 */
export function drawPoints(context, { left, top }, groups, outline = null) {
  const few = left.length <= FEW_POINTS;
  const radius = few ? RADIUS_PX.few : RADIUS_PX.many;
  for (const { places, color } of groups) {
    context.fillStyle = color;
    context.beginPath();
    for (const place of places) {
      if (few) {
        context.moveTo(left[place] + radius, top[place]);
        context.arc(left[place], top[place], radius, 0, 2 * Math.PI);
      } else context.fillRect(left[place] - radius, top[place] - radius, 2 * radius, 2 * radius);
    }
    context.fill();
    if (outline === null || !few) continue;
    Object.assign(context, { strokeStyle: outline, lineWidth: 1 });
    context.stroke();
  }
}

/**
 * Draws the ticks of both scales with their grid lines.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Scale} xScale
 * @param {Scale} yScale
 * @param {Area} area
 * @param {{ ink: string, rule: string, font: string }} look
 */
export function drawAxes(context, xScale, yScale, { left, top, width, height }, { ink, rule, font }) {
  Object.assign(context, { strokeStyle: rule, fillStyle: ink, font, lineWidth: 1 });
  context.beginPath();
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const { value, label } of ticks(xScale, clamp(width / 90, 2, 8))) {
    const at = Math.round(left + share(xScale, value) * width) + 0.5;
    context.moveTo(at, top);
    context.lineTo(at, top + height);
    context.fillText(label, at, top + height + 6);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { value, label } of ticks(yScale, clamp(height / 60, 2, 8))) {
    const at = Math.round(top + (1 - share(yScale, value)) * height) + 0.5;
    context.moveTo(left, at);
    context.lineTo(left + width, at);
    context.fillText(label, left - 6, at);
  }
  context.stroke();
}
