/* The keys, in a dialog that ? opens. */

import { button, byId, element, icon, ICONS } from "./dom.js";

/** @type {[where: string, keys: [key: string, does: string][]][]} */
const KEYS = [
  [
    "Everywhere",
    [
      ["?", "opens and closes this list"],
      ["Tab", "goes to the next control"],
      ["Esc", "closes what is open"],
    ],
  ],
  [
    "Matrix and grid",
    [
      ["← → ↑ ↓", "go from picture to picture"],
      ["Home, End", "the first and the last of the row; with Ctrl of all"],
      ["Page up, Page down", "a screen up and down"],
      ["Enter", "opens the picture"],
      ["Space", "picks it for comparison"],
    ],
  ],
  [
    "Scatter",
    [
      ["← →", "go to the next run by the number across"],
      ["↑ ↓", "go to the next run by the number upwards"],
      ["Page up, Page down", "go along the Pareto front"],
      ["Home, End", "the least and the most across"],
      ["Enter, Space", "open the run, pick it"],
      ["Esc", "clears the rectangle"],
    ],
  ],
  [
    "Open picture",
    [
      ["← →", "the previous and the next picture"],
      ["← → on a slider", "the next value of a parameter, or the next frame"],
    ],
  ],
  [
    "Choosing: the open picture, or the one that has the focus",
    [
      ["1 to 5", "rate; the same again takes the rating away"],
      ["0", "takes the rating away"],
      ["X", "rejects, or takes it back"],
      ["T", "tags"],
      ["U, Ctrl+Z", "undo"],
    ],
  ],
];

/** Builds the list and what opens it, once. */
export function prepareHelp() {
  const dialog = byId("help", HTMLDialogElement);
  dialog.append(
    element(
      "header",
      { class: "bar" },
      element("h2", { id: "help-heading", tabindex: "-1" }, "Keys"),
      button(icon(ICONS.close), () => dialog.close(), { class: "quiet", "aria-label": "Close" }),
    ),
    element(
      "div",
      { class: "help-body", tabindex: "0", role: "region", "aria-labelledby": "help-heading" },
      KEYS.map(section),
    ),
  );
  byId("open-help").addEventListener("click", () => dialog.showModal());
  addEventListener("keydown", (event) => {
    const { target } = event;
    const writing = target instanceof Element && target.matches("input:not([type=range], [type=checkbox]), select");
    if (event.key !== "?" || writing) return;
    if (dialog.open) dialog.close();
    else dialog.showModal();
    event.preventDefault();
  });
}

/** @param {typeof KEYS[number]} part */
function section([where, keys]) {
  const rows = keys.map(([key, does]) =>
    element("div", {}, element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)),
  );
  return element("section", {}, element("h3", {}, where), element("dl", { class: "keys" }, rows));
}
