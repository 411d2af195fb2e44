/* The rectangle drawn in the scatter, as numbers: what it leaves, typed in, and taken away. */

import { button, byId, element, foreign, formatLoss } from "./dom.js";
import { quantityWords } from "./quantities.js";
import { change, state } from "./state.js";

/** @import { Brush } from "./types" */

const SIDES = ["x-from", "x-to", "y-from", "y-to"];

/** Four numbers, any of which may be left open, and what can be done with the runs between them. */
export function brushForm() {
  const group = (/** @type {"x" | "y"} */ axis) =>
    element(
      "fieldset",
      { class: "brush-axis" },
      element("legend", { id: `brush-${axis}` }),
      side(`${axis}-from`, "from"),
      side(`${axis}-to`, "to"),
    );
  return element(
    "section",
    { class: "brush", "aria-label": "Rectangle" },
    element("p", { class: "remark" }, "Drag over the points, or give numbers, to leave only the runs between them."),
    group("x"),
    group("y"),
    element(
      "div",
      { class: "brush-actions" },
      button("", () => change({ view: "grid" }, { push: true }), { id: "brush-grid" }),
      button("Clear rectangle", clearBrush, { class: "quiet", id: "brush-clear" }),
    ),
  );
}

/**
 * @param {string} id
 * @param {string} label
 */
function side(id, label) {
  const field = element("input", { type: "number", step: "any", id });
  field.addEventListener("change", () => change({ brush: typed() }));
  return element("label", { class: "brush-side" }, label, field);
}

/**
 * What the fields say.
 *
 * @returns {Brush | null}
 */
function typed() {
  const [xFrom, xTo, yFrom, yTo] = SIDES.map((id) => {
    const number = byId(id, HTMLInputElement).valueAsNumber;
    return Number.isNaN(number) ? null : number;
  });
  return [xFrom, xTo, yFrom, yTo].every((side) => side === null) ? null : [xFrom, xTo, yFrom, yTo];
}

function clearBrush() {
  change({ brush: null }, { push: true });
}

/**
 * Brings the fields up to date.
 *
 * @param {number} count how many runs the rectangle leaves
 */
export function drawBrushForm(count) {
  for (const axis of /** @type {const} */ (["x", "y"])) {
    byId(`brush-${axis}`).replaceChildren(foreign(quantityWords(state[axis] ?? "")));
  }
  SIDES.forEach((id, place) => {
    const field = byId(id, HTMLInputElement);
    const text = String(state.brush?.[place] ?? "");
    if (field.value !== text) field.value = text;
  });
  byId("brush-grid").textContent = `Show ${count.toLocaleString("en")} in the grid`;
  byId("brush-clear").hidden = state.brush === null;
}

/** The button among the filters that names the rectangle and takes it away. */
export function brushControl() {
  return button("", clearBrush, { class: "filter filtering", id: "brush-filter" });
}

/** Brings that button up to date. */
export function drawBrushControl() {
  const node = byId("brush-filter");
  node.hidden = state.brush === null;
  const [xFrom, xTo, yFrom, yTo] = state.brush ?? [null, null, null, null];
  const range = (/** @type {number | null} */ from, /** @type {number | null} */ to) =>
    `${from === null ? "" : formatLoss(from)}…${to === null ? "" : formatLoss(to)}`;
  const words = [
    ...(xFrom === null && xTo === null ? [] : [`${quantityWords(state.x ?? "")} ${range(xFrom, xTo)}`]),
    ...(yFrom === null && yTo === null ? [] : [`${quantityWords(state.y ?? "")} ${range(yFrom, yTo)}`]),
  ].join(", ");
  node.setAttribute("aria-label", `Rectangle of the scatter: ${words}; clear`);
  node.replaceChildren(foreign(words, "filter-value"), " ✕");
}
