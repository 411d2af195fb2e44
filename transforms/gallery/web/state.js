/* The view is one object. The address after # spells it out, so that a view can be shared, and Back returns to it. */

import { dimensions, index, valuesOf } from "./data.js";
import { announce, clamp } from "./dom.js";
import { CONTENT_KEPT, STYLE_TAKEN, quantities } from "./quantities.js";

/** @import { Brush, View } from "./types" */

/** @type {View["view"][]} */
export const VIEWS = ["matrix", "grid", "scatter", "failed"];
/** @type {View["chosen"][]} */
const CHOSEN = ["all", "chosen", "open", "kept", "rejected"];
/** @type {View["bestOf"][]} */
export const BEST_OF = ["row", "column", "pair"];
const SORTS = ["order", ...[...index.losses, ...index.measures].map(({ key }) => key)];
export const SIZE_RANGE_PX = { min: 88, max: 420 };
export const MAX_PICKS = 8;
/* Longer labels would make addresses that mail programs break: such a value is named by its place instead. */
const MAX_LABEL_IN_HASH = 60;
/* The side of a brush that is open, in an address. */
const OPEN = "any";

/**
 * The view that a reader meets first: content against style, or whatever else varies.
 *
 * @returns {View}
 */
export function initialState() {
  const [rows = null, cols = null] = [...dimensions.keys()];
  return {
    view: rows === null ? (index.runs ? "grid" : "failed") : "matrix",
    rows,
    cols,
    filters: new Map(),
    sort: "order",
    descending: false,
    size: null,
    run: null,
    x: CONTENT_KEPT,
    y: STYLE_TAKEN,
    brush: null,
    color: null,
    best: null,
    bestOf: "row",
    chosen: "all",
    picks: [],
    comparing: false,
  };
}

/** @type {View} */
export const state = initialState();

/**
 * Reads the view from an address; a field that it does not know keeps its first value.
 *
 * @param {string} hash
 */
export function readHash(hash) {
  const view = initialState();
  for (const [key, values] of hashFields(hash)) readField(view, key, values);
  if (view.rows === view.cols) view.cols = null;
  view.comparing = view.comparing && view.picks.length > 1;
  return view;
}

/**
 * @param {string} hash
 * @returns {Generator<[string, string[]]>}
 */
function* hashFields(hash) {
  for (const field of hash.replace(/^#/, "").split("&")) {
    const [key, values = ""] = field.split("=");
    try {
      yield [decodeURIComponent(key), values.split(",").filter(Boolean).map(decodeURIComponent)];
    } catch {
      continue; // a broken % sequence: an address that was cut off
    }
  }
}

/**
 * @param {View} view
 * @param {string} key
 * @param {string[]} values
 */
function readField(view, key, values) {
  const [value] = values;
  if (key === "view") view.view = VIEWS.find((known) => known === value) ?? view.view;
  else if ((key === "rows" || key === "cols") && (value === "none" || dimensions.has(value))) {
    view[key] = value === "none" ? null : value;
  } else if (key === "sort" && SORTS.includes(value)) view.sort = value;
  else if (key === "dir") view.descending = value === "desc";
  else if (key === "size" && Number(value) > 0) view.size = clamp(Number(value), SIZE_RANGE_PX.min, SIZE_RANGE_PX.max);
  else if (key === "run" && values.length) view.run = value;
  else if ((key === "x" || key === "y") && quantities.has(value)) view[key] = value;
  else if (key === "color" && quantities.has(value)) view.color = value;
  else if (key === "best" && quantities.get(value)?.better) view.best = value;
  else if (key === "of") view.bestOf = BEST_OF.find((known) => known === value) ?? view.bestOf;
  else if (key === "brush") view.brush = readBrush(values);
  else if (key === "pick") view.picks = [...new Set(values)].slice(0, MAX_PICKS);
  else if (key === "chosen") view.chosen = CHOSEN.find((known) => known === value) ?? view.chosen;
  else if (key === "compare") view.comparing = value === "1";
  else if (key.startsWith("f.") && dimensions.has(key.slice(2))) readFilter(view, key.slice(2), values);
}

/**
 * @param {string[]} tokens
 * @returns {Brush | null}
 */
function readBrush(tokens) {
  const sides = tokens.map((token) => (token === OPEN || !Number.isFinite(Number(token)) ? null : Number(token)));
  const [xFrom = null, xTo = null, yFrom = null, yTo = null] = sides;
  return sides.some((side) => side !== null) ? [xFrom, xTo, yFrom, yTo] : null;
}

/**
 * @param {View} view
 * @param {string} key
 * @param {string[]} tokens
 */
function readFilter(view, key, tokens) {
  const known = valuesOf(key);
  const codes = tokens.map((token) =>
    token.startsWith("~") ? Number(token.slice(1)) : known.findIndex((value) => value.label === token),
  );
  const valid = codes.filter((code) => known[code] !== undefined);
  if (valid.length) view.filters.set(key, new Set(valid));
}

/**
 * The view as the part of the address after #; fields with their first values are left out.
 *
 * @param {View} view
 */
function writeHash(view) {
  const first = initialState();
  /** @type {string[]} */
  const fields = [];
  /** @type {(key: string, ...values: (string | number)[]) => void} */
  const add = (key, ...values) =>
    void fields.push(`${encodeURIComponent(key)}=${values.map(encodeURIComponent).join(",")}`);
  for (const key of /** @type {const} */ ([
    "view",
    "rows",
    "cols",
    "sort",
    "size",
    "x",
    "y",
    "color",
    "best",
    "chosen",
  ])) {
    if (view[key] !== first[key]) add(key, view[key] ?? "none");
  }
  if (view.descending) add("dir", "desc");
  for (const [key, codes] of view.filters) add(`f.${key}`, ...[...codes].sort((a, b) => a - b).map(tokenOf(key)));
  if (view.bestOf !== first.bestOf) add("of", view.bestOf);
  if (view.brush) add("brush", ...view.brush.map((side) => side ?? OPEN));
  if (view.picks.length) add("pick", ...view.picks);
  if (view.comparing) add("compare", "1");
  if (view.run !== null) add("run", view.run);
  return fields.join("&");
}

const tokenOf = (/** @type {string} */ key) => (/** @type {number} */ code) => {
  const { label } = valuesOf(key)[code];
  return label.length > MAX_LABEL_IN_HASH || label.startsWith("~") ? `~${code}` : label;
};

/** @type {(() => void)[]} */
const listeners = [];

/**
 * Has a function called after every change of the view.
 *
 * @param {() => void} listener
 */
export function onChange(listener) {
  listeners.push(listener);
}

/**
 * Changes the view and its address; `push` makes the change one that the Back button undoes.
 *
 * @param {Partial<View>} changes
 * @param {{ push?: boolean }} options
 */
export function change(changes, { push = false } = {}) {
  if (push && address.timer !== undefined) writeAddress("replaceState");
  Object.assign(state, changes);
  if (push) writeAddress("pushState");
  else replaceAddress();
  for (const listener of listeners) listener();
}

/* Safari throws at the 101st address within ten seconds, which a held arrow key or a dragged slider reach. */
const ADDRESS_BURST = 20;
const ADDRESS_INTERVAL_MS = 150;
/** @type {{ credit: number, writtenAt: number, timer: ReturnType<typeof setTimeout> | undefined }} */
const address = { credit: ADDRESS_BURST, writtenAt: 0, timer: undefined };

/** Writes the address at once, or, when it has just changed very often, a little later. */
function replaceAddress() {
  if (address.timer !== undefined) return;
  const earned = (performance.now() - address.writtenAt) / ADDRESS_INTERVAL_MS;
  address.credit = Math.min(address.credit + earned, ADDRESS_BURST);
  if (address.credit >= 1) writeAddress("replaceState");
  else address.timer = setTimeout(writeAddress, ADDRESS_INTERVAL_MS, "replaceState");
}

/** @param {"pushState" | "replaceState"} method */
function writeAddress(method) {
  forgetPendingAddress();
  const hash = "#" + writeHash(state);
  if (hash === location.hash) return;
  address.credit = Math.max(address.credit - 1, 0);
  address.writtenAt = performance.now();
  history[method](null, "", hash);
}

/** Drops an address that waits to be written, since another one holds. */
export function forgetPendingAddress() {
  clearTimeout(address.timer);
  address.timer = undefined;
}

/**
 * Picks a run for comparison, or unpicks it.
 *
 * @param {string} runId
 */
export function togglePick(runId) {
  const picks = state.picks.filter((id) => id !== runId);
  if (picks.length === state.picks.length) picks.push(runId);
  if (picks.length > MAX_PICKS) return announce(`At most ${MAX_PICKS} pictures can be compared at once.`);
  change({ picks, comparing: state.comparing && picks.length > 1 });
}
