/* Several runs side by side: their pictures, their differences, and their curves in the same charts. */

import { DASHES, clearPlot, drawOverlay } from "./charts.js";
import {
  codes,
  describeRun,
  idOf,
  index,
  keysOf,
  loadDetail,
  numberWords,
  runOf,
  runTitle,
  sizeOf,
  value,
  valueOf,
} from "./data.js";
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
  picture,
  thumbPath,
  words,
} from "./dom.js";
import { comparedPictures, forgetLooking, letter } from "./overlay.js";
import { giveFocus, heldSlider, sweepSliders, timeSlider } from "./sliders.js";
import { change, state, togglePick } from "./state.js";

/** @import { Detail } from "./types" */

const comparison = { ids: "" };

/** The picks that this gallery has. */
function pickedRuns() {
  return state.picks.flatMap((id) => runOf(id) ?? []);
}

/** The picks, in a tray that shows while anything is picked. */
export function drawTray() {
  const tray = byId("tray");
  const picks = pickedRuns();
  tray.hidden = !picks.length;
  tray.replaceChildren(
    element("ul", { class: "tray-picks" }, picks.map(trayPick)),
    button("Compare", () => change({ comparing: true }, { push: true }), {
      class: "strong",
      id: "open-compare",
      disabled: picks.length < 2,
    }),
    button("Clear", () => change({ picks: [], comparing: false }), { class: "quiet" }),
  );
}

/** @param {number} run */
function trayPick(run) {
  const id = idOf(run);
  const name = runTitle(run);
  return element(
    "li",
    {},
    picture(thumbPath(id), ""),
    button(icon(ICONS.close), () => togglePick(id), { class: "unpick", "aria-label": `Unpick ${name}`, title: name }),
  );
}

/** Opens, changes or closes the dialog as the view says. */
export function drawCompare() {
  const dialog = byId("compare", HTMLDialogElement);
  const picks = pickedRuns();
  if (!state.comparing || picks.length < 2) return closeDialog(dialog);
  if (dialog.open && comparison.ids === picks.join()) return;
  comparison.ids = picks.join();
  const held = heldSlider(dialog);
  const scrolled = dialog.querySelector(".compare-body")?.scrollTop ?? 0;
  buildCompare(dialog, picks);
  if (!dialog.open) dialog.showModal();
  giveFocus(dialog, held, "compare-heading");
  find(dialog, ".compare-body").scrollTop = scrolled;
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {number[]} picked
 */
function buildCompare(dialog, picked) {
  clearPlot(dialog.querySelector(".chart"));
  const body = element(
    "div",
    { class: "compare-body" },
    sweepSliders(picked, (runs) => change({ picks: runs.map(idOf) })),
    comparedPictures(picked, element("div", { class: "side-by-side" }, picked.map(comparedPicture))),
  );
  const common = commonWords(picked);
  dialog.replaceChildren(
    element(
      "header",
      { class: "bar" },
      element(
        "h2",
        { id: "compare-heading", tabindex: "-1" },
        `${picked.length} pictures compared`,
        common ? foreign(common, "common") : null,
      ),
      button(icon(ICONS.close), () => change({ comparing: false }), { class: "quiet", "aria-label": "Close" }),
    ),
    body,
  );
  fillComparison(body, picked);
}

/**
 * @param {number} run
 * @param {number} number
 * @param {number[]} picked
 */
function comparedPicture(run, number, picked) {
  const same = keysOf(({ key }) => !differing(picked).includes(key));
  const id = idOf(run);
  return element(
    "figure",
    {},
    picture(`images/${id}.png`, runTitle(run), { "data-of": id, ...sizeOf(run) }),
    element(
      "figcaption",
      {},
      mark(number),
      foreign(describeRun(run, same).join(" · "), "name"),
      button("Remove", () => togglePick(id), {
        class: "quiet",
        "aria-label": `Remove ${letter(number)} from the comparison`,
      }),
    ),
  );
}

/**
 * A run's letter with the line by which the charts draw it.
 *
 * @param {number} number
 */
function mark(number) {
  return element("span", { class: `mark run-${number} dash-${DASHES[number]}` }, icon("M0 8h16"), letter(number));
}

/**
 * The dimensions in which some runs differ.
 *
 * @param {number[]} picked
 */
function differing(picked) {
  return keysOf(({ key }) => new Set(picked.map((run) => codes(key)[run])).size > 1);
}

/**
 * What some runs share, in words.
 *
 * @param {number[]} picked
 */
function commonWords(picked) {
  return describeRun(picked[0], differing(picked)).join(" · ");
}

/**
 * @param {HTMLElement} body
 * @param {number[]} picked
 */
async function fillComparison(body, picked) {
  try {
    const records = await Promise.all(picked.map(loadDetail));
    if (!body.isConnected) return;
    find(body, ".sliders").append(timeSlider(body, records) ?? "");
    const chart = element("div", { class: "chart", "aria-hidden": "true" });
    body.append(
      comparisonTable(picked, records),
      element(
        "figure",
        { class: "curves" },
        element("figcaption", {}, "Losses over the iterations, logarithmic; terms before weighting"),
        element(
          "p",
          { class: "legend" },
          picked.map((_, number) => mark(number)),
        ),
        chart,
      ),
    );
    await drawOverlay(
      chart,
      records.map(({ history }, number) => ({ name: letter(number), history })),
    );
  } catch (error) {
    body.append(element("p", { class: "remark" }, messageOf(error)));
  }
}

/**
 * The differences and the losses; the lowest value of each loss stands out.
 *
 * @param {number[]} picked
 * @param {Detail[]} records
 */
function comparisonTable(picked, records) {
  const rows = [
    ...differences(picked, records).map(([name, values]) => tableRow(name, values, "")),
    ...index.losses.map(({ key }) => lossRow(key, picked)),
  ];
  return element(
    "div",
    { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Differences and losses" },
    element(
      "table",
      {},
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          element("th", { scope: "col" }, "differs"),
          picked.map((_, number) => element("th", { scope: "col" }, mark(number))),
        ),
      ),
      element("tbody", {}, rows),
    ),
  );
}

/**
 * @param {number[]} picked
 * @param {Detail[]} records
 * @returns {[name: string, values: string[]][]}
 */
function differences(picked, records) {
  /** @type {[string, string[]][]} */
  const rows = differing(picked).map((key) => [words(key), picked.map((run) => valueOf(run, key).label)]);
  const iterations = records.map((record) => String(record.iterations));
  return new Set(iterations).size > 1 ? [...rows, ["iterations run", iterations]] : rows;
}

/**
 * @param {string} loss
 * @param {number[]} picked
 */
function lossRow(loss, picked) {
  const values = picked.map((run) => value(run, loss));
  const differ = new Set(values).size > 1;
  const lowest = Math.min(...values.filter((value) => value !== null));
  const row = tableRow(numberWords(loss), values.map(formatLoss), "figure");
  values.forEach((value, number) => row.children[number + 1].classList.toggle("best", differ && value === lowest));
  return row;
}

/**
 * @param {string} name
 * @param {string[]} values
 * @param {string} className
 */
function tableRow(name, values, className) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, foreign(name)),
    values.map((value) => element("td", { class: className }, foreign(value))),
  );
}

/** @param {() => void} onClosed */
export function prepareCompare(onClosed) {
  const dialog = byId("compare", HTMLDialogElement);
  dialog.addEventListener("close", () => {
    clearPlot(dialog.querySelector(".chart"));
    dialog.replaceChildren();
    comparison.ids = "";
    forgetLooking();
    if (state.comparing) change({ comparing: false }); // closed by Escape
    onClosed();
  });
}

/** Builds the open dialog anew at the next drawing, as when the colours change. */
export function forgetCompare() {
  comparison.ids = "";
}
