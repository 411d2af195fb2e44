/* One run: the picture in full, its sources, every parameter, and the curves of its losses. */

import { clearPlot, drawCurves } from "./charts.js";
import { choiceStrip, drawStrip } from "./choosing.js";
import { dimensions, haveRun, idOf, index, loadDetail, runOf, runTitle, sizeOf, untilHaveRun, value } from "./data.js";
import {
  ICONS,
  button,
  byId,
  closeDialog,
  element,
  find,
  foreign,
  formatLoss,
  icon,
  messageOf,
  outputPath,
  picture,
  thumbPath,
} from "./dom.js";
import { giveFocus, heldSlider, sweepSliders, timeSlider } from "./sliders.js";
import { change, state, togglePick } from "./state.js";

/** @import { Detail, Runs } from "./types" */

const CONFIG_ORDER = [
  "preset",
  "backbone",
  "weights",
  "pooling",
  "content_layers",
  "style_layers",
  "content_loss",
  "reduction",
  "content_weight",
  "style_weight",
  "tv_weight",
  "optimizer",
  "learning_rate",
  "iterations",
  "init",
  "seed",
];

const MASKS = /** @type {const} */ ([
  ["content_mask", "content mask"],
  ["style_mask", "style mask"],
]);

/** @typedef {[name: string, value: unknown, varies: boolean]} Fact */

/** @type {{ run: number | null, sequence: Runs }} */
const detail = { run: null, sequence: new Uint32Array() };

/**
 * Opens, changes or closes the dialog as the view says; `sequence` are the runs that the arrows go through.
 *
 * @param {Runs} sequence
 */
export function drawDetail(sequence) {
  const dialog = byId("detail", HTMLDialogElement);
  const run = state.run === null ? undefined : runOf(state.run);
  if (run === undefined) return closeDialog(dialog);
  detail.sequence = sequence.includes(run) ? sequence : Uint32Array.of(run);
  if (detail.run === run && dialog.open) {
    drawStrip();
    return drawDetailPick();
  }
  detail.run = run;
  const held = heldSlider(dialog);
  buildDetail(dialog, run);
  if (!dialog.open) dialog.showModal();
  drawStrip();
  giveFocus(dialog, held, "detail-heading");
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {number} run
 */
function buildDetail(dialog, run) {
  clearPlot(dialog.querySelector(".chart"));
  dialog.replaceChildren(
    detailBar(run),
    choiceStrip(idOf(run)),
    element(
      "div",
      { class: "detail-body" },
      stage(run),
      element("div", { class: "facts", tabindex: "0", role: "region", "aria-label": "About this picture" }),
    ),
  );
  drawDetailPick();
  fillFacts(dialog, run);
}

/** @param {number} run */
function detailBar(run) {
  const place = detail.sequence.indexOf(run);
  const step = (/** @type {number} */ by) => () => stepDetail(by);
  return element(
    "header",
    { class: "bar" },
    element("h2", { id: "detail-heading", tabindex: "-1" }, foreign(runTitle(run))),
    element(
      "p",
      { class: "status" },
      `${(place + 1).toLocaleString("en")} of ${detail.sequence.length.toLocaleString("en")}`,
    ),
    button(icon(ICONS.previous), step(-1), { class: "quiet", "aria-label": "Previous picture", disabled: place === 0 }),
    button(icon(ICONS.next), step(1), {
      class: "quiet",
      "aria-label": "Next picture",
      disabled: place === detail.sequence.length - 1,
    }),
    button("Pick", () => togglePick(idOf(run)), { id: "detail-pick", class: "toggle" }),
    button(icon(ICONS.close), () => change({ run: null }), { class: "quiet", "aria-label": "Close" }),
  );
}

function drawDetailPick() {
  const picked = detail.run !== null && state.picks.includes(idOf(detail.run));
  byId("detail-pick").setAttribute("aria-pressed", String(picked));
  byId("detail-pick").textContent = picked ? "Picked" : "Pick to compare";
}

/**
 * The picture: its thumbnail at once, itself as soon as it is there.
 *
 * @param {number} run
 */
function stage(run) {
  const id = idOf(run);
  const { width, height } = sizeOf(run);
  const full = picture(`images/${id}.png`, runTitle(run), {
    class: "full",
    "data-of": id,
    width,
    height,
  });
  full.style.backgroundImage = `url("${outputPath(thumbPath(id))}")`;
  full.addEventListener("load", () => {
    full.style.backgroundImage = "";
  });
  const link = element(
    "a",
    { href: outputPath(`images/${id}.png`), target: "_blank", rel: "noopener" },
    "Open the picture alone",
  );
  return element(
    "figure",
    { class: "stage" },
    full,
    element("figcaption", {}, `${width} × ${height} px · `, link),
    sweepSliders([run], ([neighbour]) => change({ run: idOf(neighbour) })),
  );
}

/**
 * Goes to a neighbour, which is what the arrow keys do.
 *
 * @param {number} by
 */
async function stepDetail(by) {
  if (detail.run === null) return;
  const next = detail.sequence[detail.sequence.indexOf(detail.run) + by];
  if (next === undefined) return;
  if (!haveRun(next)) await untilHaveRun(next);
  change({ run: idOf(next) });
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {number} run
 */
async function fillFacts(dialog, run) {
  const facts = find(dialog, ".facts");
  try {
    const record = await loadDetail(run);
    if (detail.run !== run) return; // the reader has gone on meanwhile
    facts.replaceChildren(sources(record), lossTable(run), curvesFigure(), parameters(record), provenance(record));
    find(dialog, ".sliders").append(timeSlider(find(dialog, ".stage"), [record]) ?? "");
    await drawCurves(find(facts, ".chart"), record.history);
  } catch (error) {
    facts.replaceChildren(element("p", { class: "remark" }, messageOf(error)));
  }
  preloadNeighbours();
}

function preloadNeighbours() {
  if (detail.run === null) return;
  const place = detail.sequence.indexOf(detail.run);
  for (const neighbour of [detail.sequence[place + 1], detail.sequence[place - 1]]) {
    if (neighbour !== undefined && haveRun(neighbour)) new Image().src = outputPath(`images/${idOf(neighbour)}.png`);
  }
}

/** @param {Detail} record */
function sources(record) {
  const maskThumbs = record.mask_thumbs.values();
  const styles = record.style.map((style, number) => [
    source(styleRole(style, record.style.length), style.uri, record.style_thumbs[number]),
    MASKS.filter(([field]) => style[field]).map(([field, role]) =>
      source(role, style[field] ?? "", maskThumbs.next().value ?? null),
    ),
  ]);
  return element(
    "div",
    { class: "sources" },
    source("content", record.content, record.content_thumb),
    styles.flat(2),
    record.initial ? source("initial picture", record.initial, record.initial_thumb) : null,
  );
}

/**
 * @param {Detail["style"][number]} style
 * @param {number} count
 */
function styleRole({ weight, scale }, count) {
  return `style${count > 1 || weight !== 1 ? ` × ${weight}` : ""}${scale ? ` at ${scale}` : ""}`;
}

/**
 * @param {string} role
 * @param {string} uri
 * @param {string | null} thumb
 */
function source(role, uri, thumb) {
  return element(
    "figure",
    { class: "source" },
    thumb ? picture(thumb, "", { class: "source-thumb" }) : element("div", { class: "source-thumb none" }),
    element("figcaption", {}, element("span", { class: "role" }, role), foreign(uri, "uri")),
  );
}

/** @param {number} run */
function lossTable(run) {
  return element(
    "dl",
    { class: "losses" },
    index.losses.map(({ key, label }) =>
      element("div", {}, element("dt", {}, label), element("dd", { class: "figure" }, formatLoss(value(run, key)))),
    ),
  );
}

function curvesFigure() {
  return element(
    "figure",
    { class: "curves" },
    element("figcaption", {}, "Losses over the iterations, logarithmic; terms before weighting"),
    element("div", { class: "chart", "aria-hidden": "true" }),
  );
}

/**
 * Every parameter, those that vary in this gallery marked.
 *
 * @param {Detail} record
 */
function parameters(record) {
  const names = [...new Set([...CONFIG_ORDER, ...Object.keys(record.config)])].filter((name) => name in record.config);
  const varying = (/** @type {string} */ name) => dimensions.has(name);
  const ordered = [...names.filter(varying), ...names.filter((name) => !varying(name))];
  return factList(
    "Parameters",
    ordered.map((name) => [name, record.config[name], varying(name)]),
  );
}

/** @param {Detail} record */
function provenance(record) {
  const facts = [
    "manifest_row",
    "run_id",
    "iterations",
    "stop_reason",
    "seconds",
    "device",
    "weights_sha256",
    "stylebeam_version",
    "tensorflow_version",
    ...(record.notes ? ["notes"] : []),
  ];
  const extra =
    record.extra !== null && typeof record.extra === "object"
      ? Object.entries(record.extra)
      : [["extra", record.extra]];
  const labels = extra
    .filter(([, value]) => value !== null)
    .map(([name, value]) => /** @type {Fact} */ ([name, value, dimensions.has(`extra.${name}`)]));
  return element(
    "div",
    {},
    labels.length ? factList("Labels", labels) : null,
    factList(
      "Run",
      facts.map((name) => [name, record[name], false]),
    ),
  );
}

/**
 * @param {string} heading
 * @param {Fact[]} facts
 */
function factList(heading, facts) {
  return element(
    "section",
    { class: "fact-list" },
    element("h3", {}, heading),
    element(
      "dl",
      {},
      facts.map(([name, value, varies]) =>
        element(
          "div",
          { class: varies ? "varies" : null },
          element("dt", {}, foreign(name)),
          element("dd", {}, foreign(factWords(value))),
        ),
      ),
    ),
  );
}

/**
 * A value of any shape in words: layer weights one beneath the other.
 *
 * @param {unknown} value
 * @returns {string}
 */
function factWords(value) {
  if (value === null || value === undefined) return "none";
  if (Array.isArray(value)) return value.map(factWords).join("\n") || "none";
  if (typeof value === "object")
    return (
      Object.entries(value)
        .map(([name, item]) => `${name} ${factWords(item)}`)
        .join("\n") || "none"
    );
  return typeof value === "number" ? String(Number(value.toPrecision(7))) : String(value);
}

/** @param {(run: number) => void} onClosed */
export function prepareDetail(onClosed) {
  const dialog = byId("detail", HTMLDialogElement);
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target instanceof HTMLInputElement) return;
    if (event.key === "ArrowLeft") stepDetail(-1);
    else if (event.key === "ArrowRight") stepDetail(1);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener("close", () => {
    clearPlot(dialog.querySelector(".chart"));
    const { run } = detail;
    detail.run = null;
    dialog.replaceChildren();
    if (state.run !== null) change({ run: null }); // closed by Escape
    if (run !== null) onClosed(run);
  });
}

/** Builds the open dialog anew at the next drawing, as when the colours change. */
export function forgetDetail() {
  detail.run = null;
}
