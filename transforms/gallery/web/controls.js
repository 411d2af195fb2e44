/* The controls: which view, what lies on the axes, the order, the size, and the filters. */

const VALUES_LISTED = 200;
const SEARCH_FROM_VALUES = 12;
const VIEW_NAMES = { matrix: "Matrix", grid: "Grid", failed: "Failed" };

/** Builds what stays for the life of the page. */
function buildControls() {
  byId("views").append(...VIEWS.filter(viewExists).map(viewButton));
  byId("controls").append(...axisControls(), sortControl(), sizeControl(), filterControls());
  byId("controls-toggle").addEventListener("click", () => showControls(!document.body.classList.contains("arranging")));
}

function viewExists(view) {
  if (view === "failed") return index.failures > 0;
  return index.runs > 0 && (view === "grid" || dimensions.size > 0);
}

function viewButton(view) {
  const count = view === "failed" ? element("span", { class: "figure" }, ` ${index.failures.toLocaleString("en")}`) : null;
  const node = button(VIEW_NAMES[view], () => change({ view }, { push: true }), { "data-view": view });
  if (count) node.append(count);
  return node;
}

/** On a narrow screen the controls are out of the way until asked for. */
function showControls(shown) {
  document.body.classList.toggle("arranging", shown);
  byId("controls-toggle").setAttribute("aria-expanded", String(shown));
}

/** Brings the controls up to date with the view. */
function drawControls() {
  for (const node of byId("views").children) node.setAttribute("aria-pressed", String(node.dataset.view === state.view));
  byId("controls").hidden = state.view === "failed";
  byId("controls-toggle").hidden = state.view === "failed";
  for (const node of document.querySelectorAll(".axis-control")) node.hidden = state.view !== "matrix";
  byId("rows").value = state.rows ?? "none";
  byId("cols").value = state.cols ?? "none";
  byId("sort").value = state.sort;
  drawDirection();
  for (const key of dimensions.keys()) drawFilter(key);
  byId("clear-filters").hidden = state.filters.size === 0;
}

function axisControls() {
  const options = [...[...dimensions.keys()].map((key) => [key, words(key)]), ["none", "nothing"]];
  const swap = button(icon(ICONS.swap), () => change({ rows: state.cols, cols: state.rows }), {
    class: "quiet axis-control", id: "swap", "aria-label": "Swap rows and columns", title: "Swap rows and columns",
  });
  return [
    selectControl("rows", "Rows", options, (value) => setAxis("rows", "cols", value), "axis-control"),
    swap,
    selectControl("cols", "Columns", options, (value) => setAxis("cols", "rows", value), "axis-control"),
  ];
}

/** Puts a dimension on an axis; if the other one has it, they change places. */
function setAxis(axisName, otherName, value) {
  const key = value === "none" ? null : value;
  change({ [axisName]: key, ...(key !== null && key === state[otherName] ? { [otherName]: state[axisName] } : {}) });
}

function selectControl(id, label, options, onChange, className = "") {
  const select = element("select", { id }, options.map(([value, text]) => element("option", { value }, text)));
  select.addEventListener("change", () => onChange(select.value));
  return element("div", { class: `control ${className}` }, element("label", { for: id }, label), select);
}

function sortControl() {
  const options = [["order", "manifest"], ...LOSSES.map((loss) => [loss, `${LOSS_NAMES[loss]} loss`])];
  const control = selectControl("sort", "Order", options, (sort) => change({ sort }));
  control.append(button("↑", () => change({ descending: !state.descending }), { class: "quiet", id: "direction" }));
  return control;
}

function drawDirection() {
  const words = state.descending ? "Descending" : "Ascending";
  byId("direction").textContent = state.descending ? "↓" : "↑";
  byId("direction").title = words;
  byId("direction").setAttribute("aria-label", `${words}; turn around`);
}

function sizeControl() {
  const [min, max] = SIZE_RANGE_PX;
  const range = element("input", { type: "range", id: "size", min, max, step: 4 });
  range.addEventListener("input", () => change({ size: Number(range.value) }));
  return element("div", { class: "control" }, element("label", { for: "size" }, "Size"), range);
}

function filterControls() {
  const clear = button("Clear filters", () => change({ filters: new Map() }), { class: "quiet", id: "clear-filters" });
  return element("div", { class: "filters", role: "group", "aria-label": "Filters" },
    [...dimensions.keys()].flatMap(filterControl), clear);
}

/** A button that says what passes, and the list of values that it opens. */
function filterControl(key) {
  const id = filterId(key);
  const panel = element("div", { id, popover: "auto", class: "filter-panel", role: "group", "aria-label": `Filter by ${words(key)}` });
  const opener = element("button", { type: "button", class: "filter", popovertarget: id, "data-filter": key });
  panel.addEventListener("beforetoggle", (event) => { if (event.newState === "open") fillFilter(panel, key); });
  panel.addEventListener("toggle", (event) => { if (event.newState === "open") placeFilter(panel, opener); });
  return [opener, panel];
}

const filterId = (key) => `filter-${[...dimensions.keys()].indexOf(key)}`;

function drawFilter(key) {
  const opener = document.querySelector(`[popovertarget="${filterId(key)}"]`);
  const codes = state.filters.get(key);
  opener.classList.toggle("filtering", codes !== undefined);
  opener.replaceChildren(element("span", { class: "filter-name" }, foreign(words(key))), foreign(filterWords(key, codes), "filter-value"));
}

function filterWords(key, codes) {
  const { values } = dimensions.get(key);
  if (codes === undefined) return "any";
  return codes.size === 1 ? values[[...codes][0]].label : `${codes.size} of ${values.length}`;
}

function placeFilter(panel, opener) {
  const at = opener.getBoundingClientRect();
  panel.style.left = `${clamp(at.left, 8, Math.max(innerWidth - panel.offsetWidth - 8, 8))}px`;
  panel.style.top = `${Math.min(at.bottom + 6, Math.max(innerHeight - panel.offsetHeight - 8, 8))}px`;
  panel.querySelector("input")?.focus();
}

function fillFilter(panel, key) {
  const { values } = dimensions.get(key);
  const list = element("div", { class: "filter-values" });
  const search = element("input", { type: "search", placeholder: `Search ${values.length} values`, "aria-label": `Search ${words(key)}` });
  search.addEventListener("input", () => fillValues(list, key, search.value));
  fillValues(list, key, "");
  panel.replaceChildren(...(values.length >= SEARCH_FROM_VALUES ? [search] : []), list);
}

/** The values that match, as boxes to tick; of very many, the first. */
function fillValues(list, key, text) {
  const wanted = text.trim().toLowerCase();
  const matches = [];
  dimensions.get(key).values.forEach((value, code) => {
    if ((value.full ?? value.label).toLowerCase().includes(wanted)) matches.push(code);
  });
  list.replaceChildren(...matches.slice(0, VALUES_LISTED).map((code) => valueBox(key, code)));
  if (matches.length > VALUES_LISTED) {
    list.append(element("p", { class: "remark" }, `and ${matches.length - VALUES_LISTED} more: search to find them`));
  }
  if (!matches.length) list.append(element("p", { class: "remark" }, "no such value"));
}

function valueBox(key, code) {
  const { label, full } = dimensions.get(key).values[code];
  const box = element("input", { type: "checkbox" });
  box.checked = state.filters.get(key)?.has(code) ?? false;
  box.addEventListener("change", () => toggleFilter(key, code, box.checked));
  return element("label", { class: "filter-box", title: full ?? label }, box, foreign(label));
}

function toggleFilter(key, code, passes) {
  const filters = new Map(state.filters);
  const codes = new Set(filters.get(key));
  codes[passes ? "add" : "delete"](code);
  if (codes.size) filters.set(key, codes);
  else filters.delete(key);
  change({ filters });
}
