/* Sliders under open pictures: through a sweep, from run to run, and through time, from frame to frame. */

import { codes, dimensions, haveRuns, hiddenRuns, idOf, index, loadedRanges, untilHaveRuns, valuesOf } from "./data.js";
import { byId, element, foreign, outputPath, words } from "./dom.js";

/** @import { Detail } from "./types" */

/** @typedef {{ label: string, runs: number[] }} Stop a value, and each compared run's neighbour that has it */
/** @typedef {{ key: string, stops: Stop[], at: number }} Sweep */

/**
 * The parameters that are numbers, in which all of some runs agree and have neighbours: runs that differ in nothing else.
 *
 * @param {number[]} compared
 * @returns {Sweep[]}
 */
function sweepsOf(compared) {
  const found = compared.map(neighbours);
  return sweepable().flatMap((key) => {
    const own = new Set(compared.map((run) => codes(key)[run]));
    const shared = [...(found[0].get(key)?.keys() ?? [])].filter((code) => found.every((of) => of.get(key)?.has(code)));
    if (own.size > 1 || shared.length < 2) return [];
    const stops = shared
      .sort((a, b) => a - b)
      .map((code) => ({ label: valuesOf(key)[code].label, runs: found.flatMap((of) => of.get(key)?.get(code) ?? []) }));
    return [{ key, stops, at: shared.indexOf([...own][0]) }];
  });
}

const sweepable = () =>
  index.dimensions.filter(({ kind, ordered }) => kind === "parameter" && ordered).map(({ key }) => key);

/**
 * Runs that differ from one in a single parameter that is a number, by parameter and value; itself among them. Labels
 * may differ: they do not change a picture.
 *
 * @param {number} run
 * @returns {Map<string, Map<number, number>>}
 */
function neighbours(run) {
  const keys = index.dimensions.filter(({ kind }) => kind !== "label").map(({ key }) => key);
  const columns = keys.map(codes);
  const found = new Map(sweepable().map((key) => [key, new Map([[codes(key)[run], run]])]));
  for (const [from, to] of loadedRanges()) {
    for (let other = from; other < to; other++) {
      const place = onlyDifference(columns, run, other);
      const of = place < 0 ? undefined : found.get(keys[place]);
      const code = place < 0 ? 0 : columns[place][other];
      if (of && !of.has(code) && !hiddenRuns.has(other)) of.set(code, other);
    }
  }
  return found;
}

/**
 * The place of the one column in which two runs differ; -1 if they differ in none or in several.
 *
 * @param {ArrayLike<number>[]} columns
 * @param {number} run
 * @param {number} other
 */
function onlyDifference(columns, run, other) {
  let difference = -1;
  for (let place = 0; place < columns.length; place++) {
    if (columns[place][run] === columns[place][other]) continue;
    if (difference >= 0) return -1;
    difference = place;
  }
  return difference;
}

/**
 * A slider for each sweep that some runs are part of; they come once all runs are there.
 *
 * @param {number[]} compared
 * @param {(runs: number[]) => void} go shows other runs in their place
 */
export function sweepSliders(compared, go) {
  const group = element("div", { class: "sliders", role: "group", "aria-label": "Sliders" });
  const fill = () => group.prepend(...slidersOf(compared, go));
  if (haveRuns()) fill();
  else untilHaveRuns().then(fill, () => {}); // the page's status says what could not be read
  return group;
}

/**
 * @param {number[]} compared
 * @param {(runs: number[]) => void} go
 */
function slidersOf(compared, go) {
  return sweepsOf(compared).map(({ key, stops, at }) => {
    for (const stop of [stops[at + 1], stops[at - 1]])
      preload(stop?.runs.map((run) => `images/${idOf(run)}.png`) ?? []);
    return slider(
      key,
      words(key),
      stops.map(({ label }) => label),
      at,
      (place) => go(stops[place].runs),
    );
  });
}

/**
 * A slider through time: the stored pictures on the way, and the finished one. Pictures are the images in a container
 * that name their run in `data-of`.
 *
 * @param {HTMLElement} container
 * @param {Detail[]} records
 */
export function timeSlider(container, records) {
  const times = [...new Set(records.flatMap(framesOf))].sort((a, b) => a - b);
  if (!times.length) return null;
  const last = times.length;
  const labels = [...times.map((time) => `iteration ${time.toLocaleString("en")}`), "finished"];
  let at = last;
  /** @type {(record: Detail, place: number) => string} */
  const pathAt = (record, place) => (place === last ? `images/${record.run_id}.png` : framePath(record, times[place]));
  const lay = () => {
    for (const record of records) {
      for (const image of container.querySelectorAll("img[data-of]")) {
        if (image instanceof HTMLImageElement && image.dataset.of === record.run_id) show(image, pathAt(record, at));
      }
    }
    for (const place of [at - 1, at + 1]) {
      if (place >= 0 && place <= last) preload(records.map((record) => pathAt(record, place)));
    }
  };
  container.addEventListener("laid", lay);
  return slider("time", "time", labels, last, (place) => {
    at = place;
    lay();
  });
}

/** @param {Detail} record */
function framesOf({ frames }) {
  return (frames ?? []).filter(Number.isSafeInteger);
}

/**
 * A run's newest frame at an iteration; before its first, the first; the finished picture of a run without frames.
 *
 * @param {Detail} record
 * @param {number} time
 */
function framePath(record, time) {
  const frames = framesOf(record);
  const frame = frames.findLast((iteration) => iteration <= time) ?? frames[0];
  return frame === undefined ? `images/${record.run_id}.png` : `frames/${record.run_id}/${frame}.webp`;
}

/**
 * @param {HTMLImageElement} image
 * @param {string} path
 */
function show(image, path) {
  const source = outputPath(path);
  if (image.getAttribute("src") !== source) image.src = source;
}

/** @param {string[]} paths */
function preload(paths) {
  for (const path of paths) new Image().src = outputPath(path);
}

/**
 * @param {string} key
 * @param {string} name
 * @param {string[]} labels
 * @param {number} at
 * @param {(place: number) => void} onMove
 */
function slider(key, name, labels, at, onMove) {
  const id = `slider-${key === "time" ? "time" : [...dimensions.keys()].indexOf(key)}`;
  const range = element("input", { type: "range", id, min: 0, max: labels.length - 1, value: at, "data-slider": key });
  const shown = element("output", { class: "figure", for: id });
  const draw = () => {
    range.setAttribute("aria-valuetext", labels[range.valueAsNumber]);
    shown.replaceChildren(foreign(labels[range.valueAsNumber]));
  };
  range.addEventListener("input", () => {
    draw();
    onMove(range.valueAsNumber);
  });
  draw();
  return element("p", { class: "slider" }, element("label", { for: id }, foreign(name)), range, shown);
}

/**
 * The slider that has the focus in a dialog, to be given back to the one that takes its place.
 *
 * @param {HTMLElement} dialog
 */
export function heldSlider(dialog) {
  const { activeElement } = document;
  return dialog.contains(activeElement) ? (activeElement?.getAttribute("data-slider") ?? null) : null;
}

/**
 * Gives the focus to the slider that was held, or else to the dialog's heading.
 *
 * @param {HTMLElement} dialog
 * @param {string | null} held
 * @param {string} heading the heading's id
 */
export function giveFocus(dialog, held, heading) {
  const again = held === null ? null : dialog.querySelector(`[data-slider="${CSS.escape(held)}"]`);
  if (again instanceof HTMLElement) again.focus();
  else byId(heading).focus();
}
