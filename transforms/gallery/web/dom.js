/* Elements and text. Foreign text only ever becomes a text node or an attribute that cannot run or load anything. */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);

/** A new element; attributes that are null or false are left out, children that are strings become text. */
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** Text from the data: isolated, so that right-to-left marks in it do not rearrange its surroundings. */
function foreign(text, className = null) {
  return element("bdi", { class: className }, String(text));
}

/** A button with a handler. */
function button(label, onClick, attributes = {}) {
  const node = element("button", { type: "button", ...attributes }, label);
  node.addEventListener("click", onClick);
  return node;
}

/** A line drawing of 16 x 16 units, for buttons that carry their name in aria-label. */
function icon(path) {
  const svg = document.createElementNS(SVG_NAMESPACE, "svg");
  const line = document.createElementNS(SVG_NAMESPACE, "path");
  for (const [name, value] of [["viewBox", "0 0 16 16"], ["class", "icon"], ["aria-hidden", "true"]]) {
    svg.setAttribute(name, value);
  }
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const ICONS = {
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  close: "M3.5 3.5l9 9M12.5 3.5l-9 9",
  check: "M3 8.5l3.5 3.5L13 4.5",
  swap: "M3 5.5h9.5L10 3M13 10.5H3.5L6 13",
};

/** A path relative to the output directory, as the page's browser needs it. */
function outputPath(path) {
  return "../" + path.split("/").map(encodeURIComponent).join("/");
}

/** A picture of the output directory; one that is missing says so instead of showing a broken frame. */
function picture(path, alt, attributes = {}) {
  const image = element("img", { alt, decoding: "async", draggable: "false", ...attributes });
  image.addEventListener("error", () => image.classList.add("missing"), { once: true });
  image.src = outputPath(path);
  return image;
}

const thumbPath = (runId) => `thumbs/${runId}.webp`;

/** A count with its noun: 1 run, 2,000 runs. */
function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** A loss in four digits. */
function formatLoss(value) {
  if (value === null || value === undefined) return "–";
  if (value !== 0 && (Math.abs(value) >= 1e5 || Math.abs(value) < 1e-3)) {
    return value.toExponential(3).replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}

/** A field's name as words. */
const words = (name) => name.replace(/^extra\./, "").replaceAll("_", " ");
