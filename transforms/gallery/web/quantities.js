/* The numbers of a run that axes, colours and marks may use: measures, losses, seconds, parameters that are numbers. */

import { codes, index, numberWords, numbers } from "./data.js";
import { words } from "./dom.js";

/** @import { Quantity } from "./types" */

/** @type {Map<string, Quantity>} by key */
export const quantities = new Map(
  [
    ...index.measures.map(({ key, better }) => ({ key, label: numberWords(key), better })),
    ...index.losses.map(({ key }) => ({ key, label: numberWords(key), better: /** @type {const} */ ("min") })),
    { key: "seconds", label: "seconds of computing", better: /** @type {const} */ ("min") },
    ...index.dimensions
      .filter(({ ordered }) => ordered)
      .map(({ key }) => ({ key, label: words(key), better: /** @type {null} */ (null) })),
  ].map((quantity) => [quantity.key, quantity]),
);

/** @type {Map<string, Float64Array>} */
const parameters = new Map(
  index.dimensions
    .filter(({ ordered }) => ordered)
    .map(({ key, values }) => [key, Float64Array.from(values, ({ label }) => Number(label))]),
);

/** The first of some columns that this gallery has. */
const firstOf = (/** @type {string[]} */ ...keys) => keys.find((key) => quantities.has(key)) ?? null;

/* What a scatter shows at first: how much of the content is kept, against how much of the style is taken. */
export const CONTENT_KEPT = firstOf("measure_ssim", "measure_lpips", "loss_content");
export const STYLE_TAKEN = firstOf("measure_style", "loss_style");

/**
 * What reads a quantity of a run: NaN where it has none, and where it is not there yet.
 *
 * @param {string} key
 * @returns {(run: number) => number}
 */
export function reader(key) {
  const values = parameters.get(key);
  const column = values ? codes(key) : numbers(key);
  return values ? (run) => values[column[run]] : (run) => column[run];
}

/** A quantity's name. */
export const quantityWords = (/** @type {string} */ key) => quantities.get(key)?.label ?? words(key);
