/* The data: an index in the page, runs in chunks of some thousand, details in chunks that are loaded when needed. */

const LOSSES = ["loss_total", "loss_content", "loss_style", "loss_tv"];
const LOSS_NAMES = { loss_total: "total", loss_content: "content", loss_style: "style", loss_tv: "total variation" };
const DETAIL_CHUNKS_KEPT = 12;

const index = JSON.parse(byId("index").textContent);
const dimensions = new Map(index.dimensions.map((dimension) => [dimension.key, dimension]));

/* Columns of all runs that have been loaded; a run is its number in them. */
const runs = { count: 0, ids: [], numbers: new Map(), height: [], width: [], codes: {} };
for (const loss of LOSSES) runs[loss] = [];
for (const key of dimensions.keys()) runs.codes[key] = [];

const received = new Map();
const detailChunks = new Map();
const scripts = new Map();

/* What the chunk files call. */
window.styleBeamGallery = Object.freeze({
  receive: (key, records) => received.set(key, records),
});

/** Runs a script beside the page, once; the promise fails when it cannot be read. */
function loadScript(path) {
  if (!scripts.has(path)) scripts.set(path, new Promise((resolve, reject) => startScript(path, resolve, reject)));
  return scripts.get(path);
}

function startScript(path, resolve, reject) {
  const script = element("script", { src: path, async: true });
  script.addEventListener("load", () => { script.remove(); resolve(); });
  script.addEventListener("error", () => {
    script.remove();
    scripts.delete(path);
    reject(new Error(`${path} could not be read: has the gallery been moved without it?`));
  });
  document.head.append(script);
}

/** The records of a chunk; the loader forgets them, what is to be kept is up to the caller. */
async function loadChunk(path) {
  await loadScript(path);
  const key = path.replace(/^data\/(.*)-[0-9a-f]{8}\.js$/, "$1");
  const records = received.get(key);
  received.delete(key);
  scripts.delete(path);
  return records;
}

/** Loads all runs; `onFirst` is called as soon as there is something to show. */
async function loadRuns(onFirst) {
  const [first, ...rest] = index.chunks.runs;
  if (first === undefined) return;
  addRuns(await loadChunk(first));
  if (rest.length) onFirst();
  for (const records of await Promise.all(rest.map(loadChunk))) addRuns(records);
}

function addRuns([chunk]) {
  const count = chunk.run_id.length;
  const column = (values) => (Array.isArray(values) ? values : new Array(count).fill(values));
  for (const id of chunk.run_id) {
    runs.numbers.set(id, runs.ids.length);
    runs.ids.push(id);
  }
  for (const name of ["height", "width", ...LOSSES]) runs[name].push(...column(chunk[name]));
  for (const key of dimensions.keys()) runs.codes[key].push(...chunk.codes[key]);
  runs.count += count;
}

/** All that is known of a run, by its number; the last few chunks are kept, since neighbours come from the same one. */
async function loadDetail(run) {
  const chunk = lastIndexAtMost(index.detail_starts, run);
  const promise = detailChunks.get(chunk) ?? loadChunk(index.chunks.details[chunk]);
  detailChunks.delete(chunk);
  detailChunks.set(chunk, promise);
  if (detailChunks.size > DETAIL_CHUNKS_KEPT) detailChunks.delete(detailChunks.keys().next().value);
  return (await promise)[run - index.detail_starts[chunk]];
}

/** The last place in an ascending list whose value is at most the limit. */
function lastIndexAtMost(values, limit) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (values[middle] <= limit) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The value that a run has in a dimension: {label, full, thumbs}. */
function valueOf(run, key) {
  return dimensions.get(key).values[runs.codes[key][run]];
}

/** What sets a run apart, in words: all dimensions, or those that are left. */
function describeRun(run, except = []) {
  return index.dimensions
    .filter(({ key }) => !except.includes(key))
    .map(({ key, kind }) => (isImage(kind) ? "" : words(key) + " ") + valueOf(run, key).label);
}

const keysOf = (passes) => index.dimensions.filter(passes).map(({ key }) => key);
const isImage = (kind) => kind === "content" || kind === "style";
