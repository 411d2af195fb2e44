/* Choosing: keys, the strip in an open picture, the badge on a cell, and the panel that exports and imports. */

import { canUndo, choiceCount, choiceOf, choose, chosenIds, exported, importText, keeping, undo } from "./choices.js";
import { index } from "./data.js";
import { button, byId, counted, element, find, foreign } from "./dom.js";
import { change, state } from "./state.js";

/** @import { Choice, View } from "./types" */

const RATINGS = [1, 2, 3, 4, 5];
const SAID_MS = 5000;
/** @type {[View["chosen"], string][]} */
const SHOWN = [
  ["all", "every run"],
  ["chosen", "chosen runs"],
  ["open", "runs without a choice"],
  ["kept", "all but rejected runs"],
  ["rejected", "rejected runs"],
];
/** @type {ReturnType<typeof setTimeout> | undefined} */
let saidTimer;

/**
 * Says what happened, to eyes and to screen readers, also while a dialog makes the rest of the page inert.
 *
 * @param {string} text
 */
function say(text) {
  clearTimeout(saidTimer);
  const places = [byId("said"), ...document.querySelectorAll("dialog[open] .said")];
  for (const place of places) place.textContent = text;
  saidTimer = setTimeout(() => places.forEach((place) => place.replaceChildren()), SAID_MS);
}

/** A choice in words: "rated 4, tagged sky". */
function choiceWords(/** @type {Choice} */ { rating, tags, rejected }) {
  const parts = [rating === null ? "" : `rated ${rating}`, tags.length ? `tagged ${tags.join(", ")}` : ""];
  return [...parts, rejected ? "rejected" : ""].filter(Boolean).join(", ");
}

/**
 * @param {string} id
 * @param {Partial<Choice>} changes
 */
function chooseAndSay(id, changes) {
  choose(id, changes);
  say(choiceWords(choiceOf(id)) || "No choice");
}

/**
 * Rates a run; its own rating again takes the rating away.
 *
 * @param {string} id
 * @param {number} rating
 */
function rate(id, rating) {
  chooseAndSay(id, { rating: choiceOf(id).rating === rating ? null : rating });
}

function undoAndSay() {
  const count = undo();
  say(count ? `Undone: ${counted(count, "choice")}` : "There is nothing to undo.");
}

/**
 * Brings a cell's badge and name up to date with the choice of its run.
 *
 * @param {HTMLElement} node
 */
export function markChoice(node) {
  const { run, words } = node.dataset;
  if (run === undefined) return;
  const choice = choiceOf(run);
  node.classList.toggle("rejected", choice.rejected);
  node.setAttribute("aria-label", [words, choiceWords(choice)].filter(Boolean).join(", "));
  const { rating, tags, rejected } = choice;
  const marks = [rejected ? "✕" : "", rating === null ? "" : `★ ${rating}`, ...tags.map((tag) => `#${tag}`)];
  const text = marks.filter(Boolean).join(" ");
  const badge = node.querySelector(".badge");
  if (badge?.textContent === text) return;
  badge?.remove();
  if (text) node.append(element("span", { class: "badge", "aria-hidden": "true" }, foreign(text)));
}

/** The choice of the open picture, to be changed; filled by drawStrip. */
export function choiceStrip(/** @type {string} */ id) {
  const tags = element("input", {
    type: "text",
    class: "tags",
    "aria-label": "Tags, separated by commas",
    placeholder: "tags",
  });
  tags.addEventListener("change", () => {
    const list = tags.value.split(",").map((tag) => tag.trim());
    chooseAndSay(id, { tags: [...new Set(list.filter(Boolean))] });
  });
  return element(
    "div",
    { class: "choice-strip", role: "group", "aria-label": "Choice", "data-run": id },
    element(
      "div",
      { class: "ratings" },
      RATINGS.map((rating) =>
        button("★", () => rate(id, rating), {
          class: "rating",
          "aria-label": `Rate ${rating} of 5`,
          "data-rating": rating,
        }),
      ),
    ),
    button("Reject", () => chooseAndSay(id, { rejected: !choiceOf(id).rejected }), { class: "toggle reject" }),
    tags,
    button("Undo", undoAndSay, { class: "quiet undo" }),
    element("p", { class: "said remark", role: "status" }),
  );
}

/** Brings the strip of the open picture up to date. */
export function drawStrip() {
  const strip = document.querySelector("dialog[open] .choice-strip");
  if (!(strip instanceof HTMLElement)) return;
  const { rating, tags, rejected } = choiceOf(strip.dataset.run ?? "");
  for (const star of strip.querySelectorAll("[data-rating]")) {
    const number = Number(star.getAttribute("data-rating"));
    star.setAttribute("aria-pressed", String(number === rating));
    star.classList.toggle("lit", rating !== null && number <= rating);
  }
  find(strip, ".reject").setAttribute("aria-pressed", String(rejected));
  find(strip, ".undo").toggleAttribute("disabled", !canUndo());
  const field = strip.querySelector("input");
  if (field && field !== document.activeElement) field.value = tags.join(", ");
}

/** The button that opens the panel of choices, and the panel. */
export function choicesControl() {
  const panel = element("div", {
    id: "choices",
    popover: "auto",
    class: "filter-panel choices",
    role: "group",
    "aria-label": "Choices",
  });
  const opener = element("button", { type: "button", class: "filter", id: "open-choices", popovertarget: "choices" });
  const shown = element(
    "select",
    { id: "chosen" },
    SHOWN.map(([value, text]) => element("option", { value }, text)),
  );
  shown.addEventListener("change", () =>
    change({ chosen: SHOWN.find(([value]) => value === shown.value)?.[0] ?? "all" }),
  );
  const file = element("input", {
    type: "file",
    id: "import-file",
    accept: ".json,application/json",
    class: "unseen",
    tabindex: "-1",
    "aria-hidden": "true",
  });
  file.addEventListener("change", () => importFile(file));
  panel.append(
    element("div", { class: "control" }, element("label", { for: "chosen" }, "Show"), shown),
    element(
      "div",
      { class: "choice-actions" },
      button("Export choices.json", exportFile, { id: "export" }),
      button("Import choices.json", () => file.click(), { id: "import" }),
      file,
      button("Copy run_ids", copyIds, { id: "copy" }),
      button("Undo", undoAndSay, { id: "undo" }),
    ),
    element(
      "p",
      { class: "remark" },
      "Keys on a picture: 1 to 5 rate, 0 takes the rating away, X rejects, T tags, U undoes.",
    ),
    element(
      "p",
      { class: "remark", id: "not-kept" },
      "This browser keeps no choices for this page: export them before you leave.",
    ),
  );
  panel.addEventListener("toggle", (event) => {
    if (event.newState === "open") place(panel, opener);
  });
  return [opener, panel];
}

/**
 * Puts an open panel below its button, within the window.
 *
 * @param {HTMLElement} panel
 * @param {HTMLElement} opener
 */
function place(panel, opener) {
  const at = opener.getBoundingClientRect();
  panel.style.left = `${Math.max(Math.min(at.left, innerWidth - panel.offsetWidth - 8), 8)}px`;
  panel.style.top = `${Math.max(Math.min(at.bottom + 6, innerHeight - panel.offsetHeight - 8), 8)}px`;
  find(panel, "select").focus();
}

/** Brings the button and the panel up to date. */
export function drawChoices() {
  const count = choiceCount();
  const opener = byId("open-choices");
  opener.hidden = index.runs === 0;
  opener.classList.toggle("filtering", state.chosen !== "all");
  opener.replaceChildren(
    element("span", { class: "filter-name" }, "choices"),
    element("span", { class: "filter-value" }, state.chosen === "all" ? String(count) : `${state.chosen}, ${count}`),
  );
  byId("chosen", HTMLSelectElement).value = state.chosen;
  byId("undo").toggleAttribute("disabled", !canUndo());
  byId("export").toggleAttribute("disabled", count === 0);
  byId("copy").toggleAttribute("disabled", chosenIds().length === 0);
  byId("not-kept").hidden = keeping.works;
}

function exportFile() {
  const address = URL.createObjectURL(new Blob([exported()], { type: "application/json" }));
  element("a", { href: address, download: "choices.json" }).click();
  setTimeout(() => URL.revokeObjectURL(address), SAID_MS);
  say(`${counted(choiceCount(), "choice")} exported.`);
}

/** @param {HTMLInputElement} input */
async function importFile(input) {
  const [file] = input.files ?? [];
  if (!file) return;
  say(await importText(await file.text()));
  input.value = ""; // the same file may be chosen again
}

async function copyIds() {
  const ids = chosenIds();
  try {
    await navigator.clipboard.writeText(ids.join("\n"));
    say(`${counted(ids.length, "run_id")} copied.`);
  } catch {
    say("The browser does not let this page copy: export choices.json instead.");
  }
}

/** Rates, tags and rejects by key: the open picture, or else the one that has the focus. */
export function prepareChoosing() {
  addEventListener("keydown", (event) => {
    const target = event.target;
    if (
      !(target instanceof Element) ||
      target.matches("input:not([type=range]), select, textarea") ||
      event.altKey ||
      event.metaKey
    )
      return;
    const id = state.run ?? target.closest("[data-run]")?.getAttribute("data-run");
    if (!id || state.comparing || event.ctrlKey !== (event.key === "z")) return;
    if (!onKey(event.key.toLowerCase(), id)) return;
    event.preventDefault();
  });
}

/**
 * @param {string} key
 * @param {string} id
 * @returns {boolean} whether the key is one that chooses
 */
function onKey(key, id) {
  if (RATINGS.includes(Number(key))) rate(id, Number(key));
  else if (key === "0") chooseAndSay(id, { rating: null });
  else if (key === "x") chooseAndSay(id, { rejected: !choiceOf(id).rejected });
  else if (key === "u" || key === "z") undoAndSay();
  else if (key === "t") tag(id);
  else return false;
  return true;
}

/** Opens the picture, if it is not open, with the cursor in its tags. */
function tag(/** @type {string} */ id) {
  if (state.run === null) change({ run: id }, { push: true });
  const field = document.querySelector("dialog[open] .tags");
  if (field instanceof HTMLElement) field.focus();
}
