/* The rows that failed, with their reasons, a hundred at a time. */

import { loadChunk } from "./chunks.js";
import { index } from "./data.js";
import { button, byId, counted, element, find, foreign, messageOf } from "./dom.js";
import { state } from "./state.js";

/** @import { Failure } from "./types" */

const FAILURES_PER_STEP = 100;
/** @type {{ records: Failure[], waiting: string[], type: string | null, shown: number }} */
const failureList = {
  records: [],
  waiting: index.parts.flatMap(({ failures }) => failures),
  type: null,
  shown: FAILURES_PER_STEP,
};

/** Shows the list, or hides it. */
export async function drawFailures() {
  const panel = byId("failures");
  panel.hidden = state.view !== "failed";
  if (panel.hidden || panel.childElementCount) return;
  panel.replaceChildren(
    element("h2", { tabindex: "-1" }, `${counted(index.failures, "row")} failed`),
    reasons(),
    element("ol", { class: "failure-list" }),
  );
  await fillFailures();
}

/** The kinds of error with their counts; pressing one leaves only that kind. */
function reasons() {
  const group = element("div", { class: "reasons", role: "group", "aria-label": "Kinds of error" });
  for (const [type, count] of index.failure_types) {
    const node = button(foreign(type), () => chooseReason(group, node, type), {
      "aria-pressed": "false",
      class: "toggle",
    });
    node.append(element("span", { class: "figure" }, ` ${count.toLocaleString("en")}`));
    group.append(node);
  }
  return group;
}

/**
 * @param {HTMLElement} group
 * @param {HTMLElement} chosen
 * @param {string} type
 */
function chooseReason(group, chosen, type) {
  failureList.type = failureList.type === type ? null : type;
  failureList.shown = FAILURES_PER_STEP;
  for (const node of group.children)
    node.setAttribute("aria-pressed", String(node === chosen && failureList.type === type));
  fillFailures();
}

/** Shows as many as are wanted, and loads them if need be. */
async function fillFailures() {
  const panel = byId("failures");
  const { type } = failureList;
  try {
    while (matching().length < failureList.shown && failureList.waiting.length) {
      failureList.records.push(...(await loadChunk(/** @type {string} */ (failureList.waiting.shift()))));
    }
  } catch (error) {
    panel.append(element("p", { class: "remark" }, messageOf(error)));
  }
  if (failureList.type !== type) return; // another kind was chosen meanwhile
  const shown = matching().slice(0, failureList.shown);
  find(panel, ".failure-list").replaceChildren(...shown.map(failureItem));
  panel.querySelector(".more")?.remove();
  const left = count(type) - shown.length;
  if (left > 0 && shown.length === failureList.shown) panel.append(moreButton(left));
}

function matching() {
  const { records, type } = failureList;
  return type === null ? records : records.filter(({ error_type }) => (error_type || "unknown") === type);
}

/** How many rows failed by a kind of error, or at all. */
function count(/** @type {string | null} */ type) {
  return type === null ? index.failures : (new Map(index.failure_types).get(type) ?? 0);
}

/** @param {number} left */
function moreButton(left) {
  return button(
    `Show more of the ${left.toLocaleString("en")} left`,
    () => {
      failureList.shown += FAILURES_PER_STEP;
      fillFailures();
    },
    { class: "more" },
  );
}

/** @param {Failure} failure */
function failureItem(failure) {
  const styles = (failure.style ?? []).map((style) => style.uri).join(" + ");
  return element(
    "li",
    {},
    element(
      "p",
      { class: "failure-head" },
      element("span", { class: "figure" }, `row ${failure.manifest_row ?? "?"}`),
      foreign(failure.error_type || "unknown", "failure-type"),
    ),
    message(failure.error_message || "no message"),
    element(
      "p",
      { class: "failure-inputs" },
      foreign(failure.content ?? "no content"),
      " in the style of ",
      foreign(styles || "no style"),
    ),
  );
}

const LONG_MESSAGE = 400;

/**
 * An error's message; a very long one unfolds.
 *
 * @param {string} text
 */
function message(text) {
  if (text.length <= LONG_MESSAGE) return element("p", { class: "message" }, foreign(text));
  return element(
    "details",
    { class: "message" },
    element("summary", {}, foreign(text.slice(0, LONG_MESSAGE) + " …")),
    foreign(text.slice(LONG_MESSAGE)),
  );
}
