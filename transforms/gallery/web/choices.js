/* Choices: a rating, tags and a rejection for each run; kept by the browser, written and read as choices.json. */

import { haveRuns, idOf, index, runOf, untilHaveRuns } from "./data.js";
import { counted, messageOf } from "./dom.js";

/** @import { Choice } from "./types" */

const VERSION = 1;
const MAX_UNDO_STEPS = 200;
const STORAGE_KEY = `stylebeam.choices.${index.grid}`;

/** @type {Map<string, Choice>} */
let choices = new Map();
/** @type {Map<string, Choice | undefined>[]} what each step replaced, by run_id */
const steps = [];
/** @type {(() => void)[]} */
const listeners = [];
/** Whether the browser keeps choices; a page opened from disk may not be allowed to. */
export const keeping = { works: load() };

/** @type {Choice} */
const NONE = Object.freeze({ rating: null, tags: [], rejected: false });

/**
 * Has a function called after every change of a choice.
 *
 * @param {() => void} listener
 */
export function onChoice(listener) {
  listeners.push(listener);
}

/** @param {string} id */
export function choiceOf(id) {
  return choices.get(id) ?? NONE;
}

/** Whether a run is rated or tagged, and not rejected. */
export const isChosen = (/** @type {Choice} */ { rating, tags, rejected }) =>
  !rejected && (rating !== null || tags.length > 0);

/** The choices of this gallery's runs, by run, in the manifest's order; runs are asked for where there are choices. */
export function choicesByRun() {
  if (choices.size) haveRuns();
  const known = [...choices].flatMap(([id, choice]) => {
    const run = runOf(id);
    return run === undefined ? [] : [/** @type {[number, Choice]} */ ([run, choice])];
  });
  return new Map(known.sort(([a], [b]) => a - b));
}

/** The runs of this gallery that are chosen, in the manifest's order. */
export function chosenIds() {
  return [...choicesByRun()].filter(([, choice]) => isChosen(choice)).map(([run]) => idOf(run));
}

/** The number of this gallery's runs that have a rating, a tag or a rejection. */
export function choiceCount() {
  return choicesByRun().size;
}

/**
 * Changes a run's choice, as one step.
 *
 * @param {string} id
 * @param {Partial<Choice>} changes
 */
export function choose(id, changes) {
  take(new Map([[id, { ...choiceOf(id), ...changes }]]));
}

/** Takes the last step back; returns how many runs it concerned, 0 if there is none. */
export function undo() {
  const step = steps.pop();
  if (!step) return 0;
  replace(step);
  return step.size;
}

export const canUndo = () => steps.length > 0;

/** @param {Map<string, Choice>} changed */
function take(changed) {
  steps.push(new Map([...changed.keys()].map((id) => [id, choices.get(id)])));
  if (steps.length > MAX_UNDO_STEPS) steps.shift();
  replace(changed);
}

/** @param {Map<string, Choice | undefined>} changed */
function replace(changed) {
  for (const [id, choice] of changed) {
    if (choice && isSaid(choice)) choices.set(id, choice);
    else choices.delete(id);
  }
  save();
  for (const listener of listeners) listener();
}

/** @param {Choice} choice */
const isSaid = ({ rating, tags, rejected }) => rating !== null || tags.length > 0 || rejected;

/** The choices of this gallery's runs as the text of choices.json, in the manifest's order. */
export function exported() {
  return `${JSON.stringify(asFile([...choicesByRun().keys()].map(idOf)), null, 1)}\n`;
}

/** @param {string[]} ids */
function asFile(ids) {
  return { version: VERSION, choices: ids.map((id) => ({ run_id: id, ...choiceOf(id) })) };
}

/**
 * Takes the choices of a file, as one step; runs that it does not name keep theirs.
 *
 * @param {string} text
 * @returns {Promise<string>} what happened, in one line; an unusable file changes nothing
 */
export async function importText(text) {
  try {
    const read = parsed(text);
    await untilHaveRuns();
    const unknown = [...read.keys()].filter((id) => runOf(id) === undefined);
    if (unknown.length) {
      throw new Error(
        `this gallery lacks ${unknown.length} of the ${counted(read.size, "run")} that the file names, such as ${unknown[0]}`,
      );
    }
    take(read);
    return `${counted(read.size, "choice")} imported.`;
  } catch (error) {
    return `Nothing was imported: ${messageOf(error)}.`;
  }
}

/**
 * @param {string} text
 * @returns {Map<string, Choice>}
 */
function parsed(text) {
  const file = asJson(text);
  if (file?.version !== VERSION || !Array.isArray(file.choices))
    throw new Error("this is not a choices.json of version 1");
  const read = new Map();
  for (const [number, entry] of file.choices.entries()) {
    if (!isEntry(entry)) throw new Error(`choice ${number + 1} is not {run_id, rating 1 to 5 or null, tags, rejected}`);
    if (read.has(entry.run_id)) throw new Error(`run ${entry.run_id} is named twice`);
    read.set(entry.run_id, { rating: entry.rating, tags: [...new Set(entry.tags)], rejected: entry.rejected });
  }
  return read;
}

/** @param {string} text */
function asJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {any} entry */
function isEntry(entry) {
  if (entry === null || typeof entry !== "object" || typeof entry.run_id !== "string") return false;
  const { rating, tags, rejected } = entry;
  return (
    (rating === null || [1, 2, 3, 4, 5].includes(rating)) &&
    Array.isArray(tags) &&
    tags.every((tag) => typeof tag === "string" && tag.trim() !== "") &&
    typeof rejected === "boolean"
  );
}

/** Reads what the browser keeps; whether it keeps anything. */
export function load() {
  try {
    const text = localStorage.getItem(STORAGE_KEY);
    if (text !== null && asJson(text)) choices = parsed(text);
    return true;
  } catch {
    return false;
  }
}

function save() {
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify(asFile([...choices.keys()])));
    keeping.works = true;
  } catch {
    keeping.works = false;
  }
}

/* Another window with the same gallery has changed a choice. */
addEventListener("storage", ({ key }) => {
  if (key !== STORAGE_KEY) return;
  choices = new Map();
  steps.length = 0;
  load();
  for (const listener of listeners) listener();
});
