/* The best run of each row, column, or pair of content and style, by a chosen quantity; and the legend of all marks. */

import { codes, dimensions, valuesOf } from "./data.js";
import { byId, element, foreign, words } from "./dom.js";
import { quantities, quantityWords, reader } from "./quantities.js";
import { state } from "./state.js";
import { toneLegend } from "./tones.js";

/** @import { Runs } from "./types" */

/** @type {Set<number>} */
let best = new Set();

/** Whether a run is the best of its group. */
export const isBest = (/** @type {number} */ run) => best.has(run);

/**
 * Finds the best runs among those that are shown; of equal ones the first. A group of one run has no best.
 *
 * @param {Runs} shown
 */
export function findBest(shown) {
  best = new Set();
  const better = quantities.get(state.best ?? "")?.better;
  if (state.best === null || !better) return;
  const read = reader(state.best);
  const group = grouping();
  const sign = better === "min" ? 1 : -1;
  /** @type {Map<number, { run: number, cost: number, count: number }>} */
  const leaders = new Map();
  for (const run of shown) {
    const cost = sign * read(run);
    if (Number.isNaN(cost)) continue;
    const leader = leaders.get(group(run));
    if (!leader) leaders.set(group(run), { run, cost, count: 1 });
    else if (++leader.count && cost < leader.cost) Object.assign(leader, { run, cost });
  }
  best = new Set([...leaders.values()].filter(({ count }) => count > 1).map(({ run }) => run));
}

/** What numbers the groups: a row, a column, or a pair. */
function grouping() {
  const of = (/** @type {string | null} */ key) => {
    if (key === null || !dimensions.has(key)) return () => 0;
    const column = codes(key);
    return (/** @type {number} */ run) => column[run];
  };
  if (state.bestOf === "row") return of(state.rows);
  if (state.bestOf === "column") return of(state.cols);
  const [content, style] = [of("content"), of("style")];
  const styles = dimensions.has("style") ? valuesOf("style").length : 1;
  return (/** @type {number} */ run) => content(run) * styles + style(run);
}

/**
 * The runs of a cell with the best of a group first, if one is among them: it is the picture that the cell shows.
 *
 * @param {Runs} runs
 * @returns {Runs}
 */
export function bestFirst(runs) {
  const place = best.size ? runs.findIndex(isBest) : -1;
  if (place < 1) return runs;
  const copy = runs.slice();
  copy.copyWithin(1, 0, place);
  copy[0] = runs[place];
  return copy;
}

/** What the groups are: "each content", "each pair of content and style". */
function groupWords() {
  if (state.bestOf === "pair") return "each pair of content and style";
  const key = state.bestOf === "row" ? state.rows : state.cols;
  return key === null ? "all" : `each ${words(key)}`;
}

/** What the mark of the best says. */
export const bestWords = () => `best of ${groupWords()} by ${quantityWords(state.best ?? "")}`;

/** The mark on a cell. */
export function bestMark() {
  return element("span", { class: "best-mark", title: bestWords() }, "◆ best");
}

/** Brings the legend of colours and marks up to date. */
export function drawLegend() {
  const legend = byId("legend");
  const marks =
    state.best === null || state.view === "scatter"
      ? []
      : [
          element(
            "p",
            { class: "legend-part" },
            element("span", { class: "best-mark" }, "◆ best"),
            foreign(bestWords()),
          ),
        ];
  const parts = [...toneLegend(), ...marks];
  legend.hidden = !parts.length || state.view === "failed";
  legend.replaceChildren(...parts);
}
