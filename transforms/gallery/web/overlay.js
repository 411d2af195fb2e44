/* Two of the compared pictures in one place: with a line between them that moves, or one after the other. */

import { idOf, runTitle, sizeOf } from "./data.js";
import { button, clamp, element, picture } from "./dom.js";

const WAYS = { side: "Side by side", wipe: "Wipe", blink: "Blink" };
const BLINK_MS = 1000;

/* How the pictures are looked at; it lasts while a slider takes other runs into their places. */
const looking = { way: "side", pair: [0, 1] };

/** Begins with pictures side by side again. */
export function forgetLooking() {
  Object.assign(looking, { way: "side", pair: [0, 1] });
}

export const letter = (/** @type {number} */ number) => String.fromCharCode(65 + number);

/**
 * The compared pictures with a choice of how to look at them.
 *
 * @param {number[]} picked
 * @param {HTMLElement} sideBySide
 */
export function comparedPictures(picked, sideBySide) {
  const overlay = element("div", { hidden: true });
  const { pair } = looking;
  if (Math.max(...pair) >= picked.length) pair.splice(0, 2, 0, 1);
  const ways = Object.entries(WAYS).map(([way, label]) => button(label, () => show(way), { "data-way": way }));
  const choosers = pair.map((chosen, place) =>
    chooser(place, chosen, picked.length, (number) => {
      pair[place] = number;
      show(looking.way);
    }),
  );
  const choice = element("span", { class: "pair" }, choosers);

  /** @param {string} way */
  function show(way) {
    looking.way = way;
    for (const node of ways) node.setAttribute("aria-pressed", String(node.dataset.way === way));
    sideBySide.hidden = way !== "side";
    overlay.hidden = way === "side";
    choice.hidden = way === "side" || picked.length === 2;
    const laid = pair.map((number) => ({ run: picked[number], name: letter(number) }));
    overlay.replaceChildren(...(way === "side" ? [] : way === "wipe" ? wiped(laid) : blinking(laid)));
    overlay.dispatchEvent(new Event("laid", { bubbles: true }));
  }

  show(looking.way);
  const bar = element("div", { class: "ways segments", role: "group", "aria-label": "How to compare" }, ways, choice);
  return [bar, sideBySide, overlay];
}

/**
 * A list of the letters, from which one of the two pictures is chosen.
 *
 * @param {number} place
 * @param {number} chosen
 * @param {number} count
 * @param {(number: number) => void} onChoice
 */
function chooser(place, chosen, count, onChoice) {
  const options = Array.from({ length: count }, (_, number) =>
    element("option", { value: number, selected: number === chosen }, letter(number)),
  );
  const select = element("select", { "aria-label": place === 0 ? "First picture" : "Second picture" }, options);
  select.addEventListener("change", () => onChoice(Number(select.value)));
  return select;
}

/** @typedef {{ run: number, name: string }[]} Pair the first picture lies below the second */

/**
 * The pictures in one box, which has the shape of the first.
 *
 * @param {Pair} pair
 */
function stacked(pair) {
  const box = element(
    "div",
    { class: "overlaid" },
    pair.map(({ run }) => picture(`images/${idOf(run)}.png`, runTitle(run), { "data-of": idOf(run) })),
  );
  const { width, height } = sizeOf(pair[0].run);
  box.style.setProperty("--ratio", String(width / height));
  return box;
}

/**
 * The first picture left of a line, the second right of it; the slider moves the line, and so does a pointer.
 *
 * @param {Pair} pair
 */
function wiped(pair) {
  const [first, second] = pair;
  const box = stacked(pair);
  box.classList.add("wipe");
  const line = element("input", {
    type: "range",
    min: 0,
    max: 100,
    value: 50,
    "aria-label": `Line between ${first.name} and ${second.name}, percent from the left`,
  });
  const draw = () => box.style.setProperty("--line", `${line.value}%`);
  /** @param {PointerEvent} event */
  const follow = (event) => {
    if (!event.buttons) return;
    const { left, width } = box.getBoundingClientRect();
    line.value = String(Math.round(clamp((100 * (event.clientX - left)) / width, 0, 100)));
    draw();
  };
  line.addEventListener("input", draw);
  box.addEventListener("pointerdown", follow);
  box.addEventListener("pointermove", follow);
  draw();
  return [box, element("p", { class: "overlay-keys" }, first.name, line, second.name)];
}

/**
 * One picture, and the other in its place on a press, or every second while that is asked for.
 *
 * @param {Pair} pair
 */
function blinking(pair) {
  const box = stacked(pair);
  const shown = element("strong", { class: "shown", role: "status" });
  let second = false;
  const draw = () => {
    box.classList.toggle("second", second);
    shown.textContent = pair[Number(second)].name;
  };
  const swap = () => {
    second = !second;
    draw();
  };
  const always = element("input", { type: "checkbox" });
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  always.addEventListener("change", () => {
    clearInterval(timer);
    shown.setAttribute("role", always.checked ? "none" : "status"); // a screen reader is not to speak every second
    if (always.checked) timer = setInterval(() => (box.isConnected ? swap() : clearInterval(timer)), BLINK_MS);
  });
  box.addEventListener("click", swap);
  draw();
  return [
    box,
    element(
      "p",
      { class: "overlay-keys" },
      shown,
      button("Show the other", swap),
      element("label", {}, always, " every second"),
    ),
  ];
}
