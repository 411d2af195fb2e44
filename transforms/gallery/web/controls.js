/* The controls choose the view, its axes, the order, the size and the filters. */

import { brushControl, drawBrushControl } from "./brush.js";
import { choicesControl, drawChoices } from "./choosing.js";
import { dimensions, index, numberWords, valuesOf } from "./data.js";
import { ICONS, button, byId, clamp, element, find, foreign, icon, words } from "./dom.js";
import { quantities } from "./quantities.js";
import { BEST_OF, SIZE_RANGE_PX, VIEWS, change, state } from "./state.js";

/** @import { View } from "./types" */

const VALUES_LISTED = 200;
const SEARCH_FROM_VALUES = 12;
/** @type {Record<View["view"], string>} */
const VIEW_NAMES = { matrix: "Matrix", grid: "Grid", scatter: "Scatter", failed: "Failed" };

/** Controls of some views alone, by their class. */
const CONTROLS_OF = { "axis-control": ["matrix"], "scatter-control": ["scatter"], "sheet-control": ["matrix", "grid"] };
/** @type {[View["bestOf"], string][]} */
const BEST_OF_NAMES = [
  ["row", "row"],
  ["column", "column"],
  ["pair", "content and style"],
];

/** Builds the controls, once. */
export function buildControls() {
  byId("views").append(...VIEWS.filter(viewExists).map(viewButton));
  byId("controls").append(
    ...axisControls(),
    ...scatterControls(),
    ...markControls(),
    sortControl(),
    sizeControl(),
    filterControls(),
  );
  byId("controls-toggle").addEventListener("click", () => showControls(!document.body.classList.contains("arranging")));
}

/** @param {View["view"]} view */
export function viewExists(view) {
  if (view === "failed") return index.failures > 0;
  return index.runs > 0 && (view !== "matrix" || dimensions.size > 0);
}

/** @param {View["view"]} view */
function viewButton(view) {
  const count =
    view === "failed" ? element("span", { class: "figure" }, ` ${index.failures.toLocaleString("en")}`) : null;
  const node = button(VIEW_NAMES[view], () => change({ view }, { push: true }), { "data-view": view });
  if (count) node.append(count);
  return node;
}

/**
 * Shows or hides the controls, which a narrow screen hides at first.
 *
 * @param {boolean} shown
 */
function showControls(shown) {
  document.body.classList.toggle("arranging", shown);
  byId("controls-toggle").setAttribute("aria-expanded", String(shown));
}

/** Brings the controls up to date with the view. */
export function drawControls() {
  for (const node of byId("views").children) {
    node.setAttribute("aria-pressed", String(node.getAttribute("data-view") === state.view));
  }
  byId("controls").hidden = state.view === "failed";
  byId("controls-toggle").hidden = state.view === "failed";
  for (const [name, views] of Object.entries(CONTROLS_OF)) {
    for (const node of document.querySelectorAll(`.${name}`))
      node.toggleAttribute("hidden", !views.includes(state.view));
  }
  byId("color", HTMLSelectElement).value = state.color ?? "none";
  byId("best", HTMLSelectElement).value = state.best ?? "none";
  byId("best-of", HTMLSelectElement).value = state.bestOf;
  find(document, ".control:has(#best-of)").toggleAttribute("hidden", state.best === null || state.view === "scatter");
  byId("x", HTMLSelectElement).value = state.x ?? "";
  byId("y", HTMLSelectElement).value = state.y ?? "";
  byId("rows", HTMLSelectElement).value = state.rows ?? "none";
  byId("cols", HTMLSelectElement).value = state.cols ?? "none";
  byId("sort", HTMLSelectElement).value = state.sort;
  drawDirection();
  for (const key of dimensions.keys()) drawFilter(key);
  drawChoices();
  drawBrushControl();
  byId("clear-filters").hidden = state.filters.size === 0 && state.chosen === "all" && state.brush === null;
}

function axisControls() {
  /** @type {[string, string][]} */
  const options = [
    ...[...dimensions.keys()].map((key) => /** @type {[string, string]} */ ([key, words(key)])),
    ["none", "nothing"],
  ];
  const swap = button(icon(ICONS.swap), () => change({ rows: state.cols, cols: state.rows }), {
    class: "quiet axis-control",
    id: "swap",
    "aria-label": "Swap rows and columns",
    title: "Swap rows and columns",
  });
  return [
    selectControl("rows", "Rows", options, (value) => setAxis("rows", "cols", value), "axis-control"),
    swap,
    selectControl("cols", "Columns", options, (value) => setAxis("cols", "rows", value), "axis-control"),
  ];
}

function scatterControls() {
  const options = [...quantities.values()].map(({ key, label }) => /** @type {[string, string]} */ ([key, label]));
  /* A rectangle is one of two quantities: it means nothing for others. */
  return [
    selectControl("x", "Across", options, (x) => change({ x, brush: null }), "scatter-control"),
    selectControl("y", "Upwards", options, (y) => change({ y, brush: null }), "scatter-control"),
  ];
}

function markControls() {
  const all = [...quantities.values()].map(({ key, label }) => /** @type {[string, string]} */ ([key, label]));
  const judging = all.filter(([key]) => quantities.get(key)?.better);
  const orNull = (/** @type {string} */ value) => (value === "none" ? null : value);
  return [
    selectControl("color", "Colour", [["none", "none"], ...all], (value) => change({ color: orNull(value) })),
    selectControl(
      "best",
      "Mark best",
      [["none", "nothing"], ...judging],
      (value) => change({ best: orNull(value) }),
      "sheet-control",
    ),
    selectControl(
      "best-of",
      "of each",
      BEST_OF_NAMES,
      (value) => change({ bestOf: BEST_OF.find((known) => known === value) ?? "row" }),
      "sheet-control",
    ),
  ];
}

/**
 * Puts a dimension on an axis; if the other one has it, they change places.
 *
 * @param {"rows" | "cols"} axisName
 * @param {"rows" | "cols"} otherName
 * @param {string} value
 */
function setAxis(axisName, otherName, value) {
  const key = value === "none" ? null : value;
  change({ [axisName]: key, ...(key !== null && key === state[otherName] ? { [otherName]: state[axisName] } : {}) });
}

/**
 * @param {string} id
 * @param {string} label
 * @param {[string, string][]} options
 * @param {(value: string) => void} onChange
 */
function selectControl(id, label, options, onChange, className = "") {
  const select = element(
    "select",
    { id },
    options.map(([value, text]) => element("option", { value }, text)),
  );
  select.addEventListener("change", () => onChange(select.value));
  return element("div", { class: `control ${className}` }, element("label", { for: id }, label), select);
}

function sortControl() {
  /** @type {[string, string][]} */
  const options = [["order", "manifest"]];
  for (const { key } of [...index.losses, ...index.measures]) options.push([key, numberWords(key)]);
  const control = selectControl("sort", "Order", options, (sort) => change({ sort }), "sheet-control");
  control.append(button("↑", () => change({ descending: !state.descending }), { class: "quiet", id: "direction" }));
  return control;
}

function drawDirection() {
  const direction = state.descending ? "Descending" : "Ascending";
  byId("direction").textContent = state.descending ? "↓" : "↑";
  byId("direction").title = direction;
  byId("direction").setAttribute("aria-label", `${direction}; reverse`);
}

function sizeControl() {
  const range = element("input", { type: "range", id: "size", ...SIZE_RANGE_PX, step: 4 });
  range.addEventListener("input", () => change({ size: Number(range.value) }));
  return element("div", { class: "control sheet-control" }, element("label", { for: "size" }, "Size"), range);
}

function filterControls() {
  const clear = button("Clear filters", () => change({ filters: new Map(), chosen: "all", brush: null }), {
    class: "quiet",
    id: "clear-filters",
  });
  return element(
    "div",
    { class: "filters", role: "group", "aria-label": "Filters" },
    [...dimensions.keys()].flatMap(filterControl),
    choicesControl(),
    brushControl(),
    clear,
  );
}

/**
 * A button that names the values that pass, and the list of values that it opens.
 *
 * @param {string} key
 */
function filterControl(key) {
  const id = filterId(key);
  const panel = element("div", {
    id,
    popover: "auto",
    class: "filter-panel",
    role: "group",
    "aria-label": `Filter by ${words(key)}`,
  });
  const opener = element("button", { type: "button", class: "filter", popovertarget: id, "data-filter": key });
  panel.addEventListener("beforetoggle", (event) => {
    if (event.newState === "open") fillFilter(panel, key);
  });
  panel.addEventListener("toggle", (event) => {
    if (event.newState === "open") placeFilter(panel, opener);
  });
  return [opener, panel];
}

const filterId = (/** @type {string} */ key) => `filter-${[...dimensions.keys()].indexOf(key)}`;

/** @param {string} key */
function drawFilter(key) {
  const opener = find(document, `[popovertarget="${filterId(key)}"]`);
  const codes = state.filters.get(key);
  opener.classList.toggle("filtering", codes !== undefined);
  opener.replaceChildren(
    element("span", { class: "filter-name" }, foreign(words(key))),
    foreign(filterWords(key, codes), "filter-value"),
  );
}

/**
 * @param {string} key
 * @param {Set<number> | undefined} codes
 */
function filterWords(key, codes) {
  const values = valuesOf(key);
  if (codes === undefined) return "any";
  return codes.size === 1 ? values[[...codes][0]].label : `${codes.size} of ${values.length}`;
}

/**
 * @param {HTMLElement} panel
 * @param {HTMLElement} opener
 */
function placeFilter(panel, opener) {
  const at = opener.getBoundingClientRect();
  panel.style.left = `${clamp(at.left, 8, Math.max(innerWidth - panel.offsetWidth - 8, 8))}px`;
  panel.style.top = `${Math.min(at.bottom + 6, Math.max(innerHeight - panel.offsetHeight - 8, 8))}px`;
  panel.querySelector("input")?.focus();
}

/**
 * @param {HTMLElement} panel
 * @param {string} key
 */
function fillFilter(panel, key) {
  const values = valuesOf(key);
  const list = element("div", { class: "filter-values" });
  const search = element("input", {
    type: "search",
    placeholder: `Search ${values.length} values`,
    "aria-label": `Search ${words(key)}`,
  });
  search.addEventListener("input", () => fillValues(list, key, search.value));
  fillValues(list, key, "");
  panel.replaceChildren(...(values.length >= SEARCH_FROM_VALUES ? [search] : []), list);
}

/**
 * The values that match, as boxes to tick; of very many, the first.
 *
 * @param {HTMLElement} list
 * @param {string} key
 * @param {string} text
 */
function fillValues(list, key, text) {
  const wanted = text.trim().toLowerCase();
  /** @type {number[]} */
  const matches = [];
  valuesOf(key).forEach((value, code) => {
    if ((value.full ?? value.label).toLowerCase().includes(wanted)) matches.push(code);
  });
  list.replaceChildren(...matches.slice(0, VALUES_LISTED).map((code) => valueBox(key, code)));
  if (matches.length > VALUES_LISTED) {
    list.append(element("p", { class: "remark" }, `and ${matches.length - VALUES_LISTED} more: search to find them`));
  }
  if (!matches.length) list.append(element("p", { class: "remark" }, "no such value"));
}

/**
 * @param {string} key
 * @param {number} code
 */
function valueBox(key, code) {
  const { label, full } = valuesOf(key)[code];
  const box = element("input", { type: "checkbox" });
  box.checked = state.filters.get(key)?.has(code) ?? false;
  box.addEventListener("change", () => toggleFilter(key, code, box.checked));
  return element("label", { class: "filter-box", title: full ?? label }, box, foreign(label));
}

/**
 * @param {string} key
 * @param {number} code
 * @param {boolean} passes
 */
function toggleFilter(key, code, passes) {
  const filters = new Map(state.filters);
  const codes = new Set(filters.get(key));
  if (passes) codes.add(code);
  else codes.delete(code);
  if (codes.size) filters.set(key, codes);
  else filters.delete(key);
  change({ filters });
}
