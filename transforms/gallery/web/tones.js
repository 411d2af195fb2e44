/* Colours of a quantity: nine steps of viridis, from dark for little to light for much, with a legend of their range. */

import { loadCount, loadedRanges } from "./data.js";
import { element, foreign, formatLoss } from "./dom.js";
import { rangeOf, share } from "./plot.js";
import { quantities, quantityWords, reader } from "./quantities.js";
import { state } from "./state.js";

/** @import { Scale } from "./plot.js" */

/* van der Walt and Smith 2015, without the darkest step: rising evenly in lightness, also for the colour-blind. */
export const TONES = [
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];

/** @type {{ key: string, scale: Scale | null }} */
const known = { key: "", scale: null };

/** The range of the quantity that colours, over all runs: filters do not change a run's colour. */
function toneScale() {
  if (state.color === null) return null;
  const key = `${state.color} ${loadCount()}`;
  if (key !== known.key) {
    const read = reader(state.color);
    const values = [];
    for (const [from, to] of loadedRanges()) for (let run = from; run < to; run++) values.push(read(run));
    Object.assign(known, { key, scale: rangeOf(values) });
  }
  return known.scale;
}

/**
 * What gives the number of a run's colour; -1 where nothing colours, or where the run has no number.
 *
 * @returns {(run: number) => number}
 */
export function toner() {
  const scale = toneScale();
  if (!scale || state.color === null) return () => -1;
  const read = reader(state.color);
  return (run) => {
    const part = share(scale, read(run));
    return Number.isNaN(part) ? -1 : Math.min(Math.floor(part * TONES.length), TONES.length - 1);
  };
}

/** The colours with the ends of their range. */
export function toneLegend() {
  const scale = toneScale();
  if (!scale || state.color === null) return [];
  const end = (/** @type {number} */ at) => formatLoss(scale.log ? 10 ** at : at);
  const better = quantities.get(state.color)?.better;
  const steps = TONES.map((color) => {
    const step = element("span", { class: "tone-step" });
    step.style.background = color;
    return step;
  });
  return [
    element(
      "p",
      { class: "legend-part" },
      foreign(`${quantityWords(state.color)}${scale.log ? ", logarithmic" : ""}`),
      element(
        "span",
        { class: "tone-range figure" },
        end(scale.low),
        element("span", { class: "tone-steps", "aria-hidden": "true" }, steps),
        end(scale.high),
      ),
      better ? element("span", {}, better === "max" ? "light is better" : "dark is better") : null,
    ),
  ];
}
