/* The view: one object, which the address after # spells out, so that it can be shared and gone back to. */

const VIEWS = ["matrix", "grid", "failed"];
const SORTS = ["order", ...LOSSES];
const SIZE_RANGE_PX = [88, 420];
const MAX_PICKS = 8;
/* Longer labels would make addresses that mail programs break: such a value is named by its place instead. */
const MAX_LABEL_IN_HASH = 60;

const state = {};

/** The view that a reader meets first: content against style, or whatever else varies. */
function initialState() {
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
    picks: [],
    comparing: false,
  };
}

/** Reads the view from an address; what it does not know, it leaves as it is at first. */
function readHash(hash) {
  const view = initialState();
  for (const [key, values] of hashFields(hash)) readField(view, key, values);
  if (view.rows === view.cols) view.cols = null;
  view.comparing = view.comparing && view.picks.length > 1;
  return view;
}

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

function readField(view, key, values) {
  const [value] = values;
  if (key === "view" && VIEWS.includes(value)) view.view = value;
  else if ((key === "rows" || key === "cols") && (value === "none" || dimensions.has(value))) {
    view[key] = value === "none" ? null : value;
  } else if (key === "sort" && SORTS.includes(value)) view.sort = value;
  else if (key === "dir") view.descending = value === "desc";
  else if (key === "size" && Number(value) > 0) view.size = clamp(Number(value), ...SIZE_RANGE_PX);
  else if (key === "run" && values.length) view.run = value;
  else if (key === "pick") view.picks = [...new Set(values)].slice(0, MAX_PICKS);
  else if (key === "compare") view.comparing = value === "1";
  else if (key.startsWith("f.") && dimensions.has(key.slice(2))) readFilter(view, key.slice(2), values);
}

function readFilter(view, key, tokens) {
  const known = dimensions.get(key).values;
  const codes = tokens.map((token) =>
    token.startsWith("~") ? Number(token.slice(1)) : known.findIndex((value) => value.label === token));
  const valid = codes.filter((code) => known[code] !== undefined);
  if (valid.length) view.filters.set(key, new Set(valid));
}

/** The view as the part of the address after #; what is as at first is left out. */
function writeHash(view) {
  const first = initialState();
  const fields = [];
  const add = (key, ...values) => fields.push(`${encodeURIComponent(key)}=${values.map(encodeURIComponent).join(",")}`);
  for (const key of ["view", "rows", "cols", "sort", "size"]) {
    if (view[key] !== first[key]) add(key, view[key] ?? "none");
  }
  if (view.descending) add("dir", "desc");
  for (const [key, codes] of view.filters) add(`f.${key}`, ...[...codes].sort((a, b) => a - b).map(tokenOf(key)));
  if (view.picks.length) add("pick", ...view.picks);
  if (view.comparing) add("compare", "1");
  if (view.run !== null) add("run", view.run);
  return fields.join("&");
}

const tokenOf = (key) => (code) => {
  const { label } = dimensions.get(key).values[code];
  return label.length > MAX_LABEL_IN_HASH || label.startsWith("~") ? `~${code}` : label;
};

/** Changes the view and its address; `push` makes the change one that the Back button undoes. */
function change(changes, { push = false } = {}) {
  if (push && address.timer !== null) writeAddress("replaceState");
  Object.assign(state, changes);
  if (push) writeAddress("pushState");
  else replaceAddress();
  render();
}

/* Safari throws at the 101st address within ten seconds, which a held arrow key or a dragged slider reach. */
const ADDRESS_BURST = 20;
const ADDRESS_INTERVAL_MS = 150;
const address = { credit: ADDRESS_BURST, writtenAt: 0, timer: null };

/** Writes the address at once, or, when it has just changed very often, a little later. */
function replaceAddress() {
  if (address.timer !== null) return;
  const earned = (performance.now() - address.writtenAt) / ADDRESS_INTERVAL_MS;
  address.credit = Math.min(address.credit + earned, ADDRESS_BURST);
  if (address.credit >= 1) writeAddress("replaceState");
  else address.timer = setTimeout(writeAddress, ADDRESS_INTERVAL_MS, "replaceState");
}

function writeAddress(method) {
  forgetPendingAddress();
  const hash = "#" + writeHash(state);
  if (hash === location.hash) return;
  address.credit = Math.max(address.credit - 1, 0);
  address.writtenAt = performance.now();
  history[method](null, "", hash);
}

/** Drops an address that waits to be written, since another one holds. */
function forgetPendingAddress() {
  clearTimeout(address.timer);
  address.timer = null;
}

/** Picks a run for comparison, or puts it back. */
function togglePick(runId) {
  const picks = state.picks.filter((id) => id !== runId);
  if (picks.length === state.picks.length) picks.push(runId);
  if (picks.length > MAX_PICKS) return announce(`At most ${MAX_PICKS} pictures can be compared at once.`);
  change({ picks, comparing: state.comparing && picks.length > 1 });
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
