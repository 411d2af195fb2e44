/* Several runs side by side: their pictures, what differs between them, and their curves in the same charts. */

const comparison = { ids: "" };
const letter = (number) => String.fromCharCode(65 + number);

/** The picks, in a tray that is there when something is picked. */
function drawTray() {
  const tray = byId("tray");
  const picks = state.picks.filter((id) => runs.numbers.has(id));
  tray.hidden = !picks.length;
  tray.replaceChildren(
    element("ul", { class: "tray-picks" }, picks.map(trayPick)),
    button("Compare", () => change({ comparing: true }, { push: true }), { class: "strong", id: "open-compare", disabled: picks.length < 2 }),
    button("Clear", () => change({ picks: [], comparing: false }), { class: "quiet" }));
}

function trayPick(id) {
  const name = runTitle(runs.numbers.get(id));
  return element("li", {}, picture(thumbPath(id), ""),
    button(icon(ICONS.close), () => togglePick(id), { class: "unpick", "aria-label": `Put back ${name}`, title: name }));
}

/** Opens, changes or closes the dialog as the view says. */
function drawCompare() {
  const dialog = byId("compare");
  const picks = state.picks.filter((id) => runs.numbers.has(id));
  if (!state.comparing || picks.length < 2) return closeDialog(dialog);
  if (dialog.open && comparison.ids === picks.join()) return;
  comparison.ids = picks.join();
  buildCompare(dialog, picks.map((id) => runs.numbers.get(id)));
  if (!dialog.open) dialog.showModal();
  byId("compare-heading").focus();
}

function buildCompare(dialog, picked) {
  clearPlot(dialog.querySelector(".chart"));
  const body = element("div", { class: "compare-body" }, element("div", { class: "side-by-side" }, picked.map(comparedPicture)));
  const common = commonWords(picked);
  dialog.replaceChildren(
    element("header", { class: "bar" },
      element("h2", { id: "compare-heading", tabindex: "-1" }, `${picked.length} pictures compared`,
        common ? foreign(common, "common") : null),
      button(icon(ICONS.close), () => change({ comparing: false }), { class: "quiet", "aria-label": "Close" })),
    body);
  fillComparison(body, picked);
}

function comparedPicture(run, number, picked) {
  const same = keysOf(({ key }) => !differing(picked).includes(key));
  const id = runs.ids[run];
  return element("figure", {},
    picture(`images/${id}.png`, runTitle(run), { width: runs.width[run], height: runs.height[run] }),
    element("figcaption", {}, mark(number), foreign(describeRun(run, same).join(" · "), "name"),
      button("Remove", () => togglePick(id), { class: "quiet", "aria-label": `Remove ${letter(number)} from the comparison` })));
}

/** A run's letter with the line by which the charts draw it. */
function mark(number) {
  return element("span", { class: `mark run-${number} dash-${DASHES[number]}` }, icon("M0 8h16"), letter(number));
}

/** The dimensions in which not all of some runs agree. */
function differing(picked) {
  return keysOf(({ key }) => new Set(picked.map((run) => runs.codes[key][run])).size > 1);
}

/** What some runs have in common, in words. */
function commonWords(picked) {
  return describeRun(picked[0], differing(picked)).join(" · ");
}

async function fillComparison(body, picked) {
  try {
    const records = await Promise.all(picked.map(loadDetail));
    if (!body.isConnected) return;
    const chart = element("div", { class: "chart", "aria-hidden": "true" });
    body.append(comparisonTable(picked, records), element("figure", { class: "curves" },
      element("figcaption", {}, "Losses over the iterations, logarithmic; terms before weighting"),
      element("p", { class: "legend" }, picked.map((_, number) => mark(number))), chart));
    await drawOverlay(chart, records.map(({ history }, number) => ({ name: letter(number), history })));
  } catch (error) {
    body.append(element("p", { class: "remark" }, error.message));
  }
}

/** What differs, and the losses; the lowest of each loss stands out. */
function comparisonTable(picked, records) {
  const rows = [...differences(picked, records).map(([name, values]) => tableRow(name, values, "")),
    ...LOSSES.map((loss) => lossRow(loss, picked))];
  return element("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Differences and losses" },
    element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "differs"), picked.map((_, number) => element("th", { scope: "col" }, mark(number))))),
      element("tbody", {}, rows)));
}

function differences(picked, records) {
  const rows = differing(picked).map((key) => [words(key), picked.map((run) => valueOf(run, key).label)]);
  const iterations = records.map((record) => String(record.iterations));
  return new Set(iterations).size > 1 ? [...rows, ["iterations run", iterations]] : rows;
}

function lossRow(loss, picked) {
  const values = picked.map((run) => runs[loss][run]);
  const differ = new Set(values).size > 1;
  const lowest = Math.min(...values.filter((value) => value !== null));
  const row = tableRow(`${LOSS_NAMES[loss]} loss`, values.map(formatLoss), "figure");
  values.forEach((value, number) => row.children[number + 1].classList.toggle("best", differ && value === lowest));
  return row;
}

function tableRow(name, values, className) {
  return element("tr", {}, element("th", { scope: "row" }, foreign(name)),
    values.map((value) => element("td", { class: className }, foreign(value))));
}

function prepareCompare(onClosed) {
  const dialog = byId("compare");
  dialog.addEventListener("close", () => {
    clearPlot(dialog.querySelector(".chart"));
    dialog.replaceChildren();
    comparison.ids = "";
    if (state.comparing) change({ comparing: false }); // closed by Escape
    onClosed();
  });
}
