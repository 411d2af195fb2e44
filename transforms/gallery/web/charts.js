/* Loss curves, drawn by Plotly, which is loaded when the first chart is shown. */

import { loadScript } from "./chunks.js";
import { index } from "./data.js";
import { NARROW_PX, element, messageOf } from "./dom.js";
import { MAX_PICKS } from "./state.js";

/** @import { History } from "./types" */

const TERMS = index.losses.map(({ short }) => short);
const MAX_DECADE_TICKS = 6;
export const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash"];

/**
 * The curves of one run.
 *
 * @param {HTMLElement} container
 * @param {History} history
 */
export async function drawCurves(container, history) {
  const colors = themeColors();
  const traces = TERMS.map((term, number) => ({
    ...curve(history, term),
    name: index.losses[number].label,
    line: { color: colors.terms[number], width: term === "total" ? 2.5 : 1.5 },
  }));
  const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } };
  await plot(container, traces, {
    ...baseLayout(colors),
    height: 300,
    showlegend: true,
    legend,
    xaxis: xAxis(colors),
    yaxis: yAxis(
      colors,
      TERMS.map((term) => history[term]),
    ),
  });
}

/**
 * One small chart for each loss, with a curve for each run.
 *
 * @param {HTMLElement} container
 * @param {{ name: string, history: History }[]} series
 */
export async function drawOverlay(container, series) {
  const colors = themeColors();
  const columns = container.clientWidth < NARROW_PX ? 1 : 2;
  const rows = TERMS.length / columns;
  const layout = {
    ...baseLayout(colors),
    height: 240 * rows + 40,
    showlegend: false,
    annotations: /** @type {object[]} */ ([]),
    margin: { l: 52, r: 12, t: 28, b: 36 },
  };
  TERMS.forEach((term, number) =>
    addPanel(
      layout,
      number,
      columns,
      rows,
      colors,
      yAxis(
        colors,
        series.map(({ history }) => history[term]),
      ),
    ),
  );
  const traces = TERMS.flatMap((term, number) =>
    series.map(({ name, history }, run) => ({
      ...curve(history, term),
      name,
      xaxis: `x${number + 1}`,
      yaxis: `y${number + 1}`,
      line: { color: colors.runs[run], width: 1.75, dash: DASHES[run] },
    })),
  );
  await plot(container, traces, layout);
}

/**
 * @param {{ annotations: object[], [name: string]: unknown }} layout
 * @param {number} number
 * @param {number} columns
 * @param {number} rows
 * @param {Colors} colors
 * @param {object} yaxis
 */
function addPanel(layout, number, columns, rows, colors, yaxis) {
  const column = number % columns;
  const row = Math.floor(number / columns);
  const gap = { x: columns > 1 ? 0.08 : 0, y: 0.16 / rows };
  const width = (1 - gap.x * (columns - 1)) / columns;
  const height = (1 - 2 * gap.y * (rows - 1)) / rows;
  const left = column * (width + gap.x);
  const top = 1 - row * (height + 2 * gap.y);
  layout[`xaxis${number + 1}`] = { ...xAxis(colors), domain: [left, left + width], anchor: `y${number + 1}` };
  layout[`yaxis${number + 1}`] = { ...yaxis, domain: [Math.max(top - height, 0), top], anchor: `x${number + 1}` };
  layout.annotations.push({
    text: index.losses[number].label,
    x: left,
    y: top,
    xref: "paper",
    yref: "paper",
    xanchor: "left",
    yanchor: "bottom",
    showarrow: false,
    font: { size: 13 },
  });
}

/**
 * A trace; what a logarithmic axis cannot show (zero, not a number) is a gap.
 *
 * @param {History} history
 * @param {string} term
 */
function curve(history, term) {
  return {
    type: "scatter",
    mode: history.iteration.length > 1 ? "lines" : "markers",
    x: history.iteration,
    y: history[term].map((value) => (value !== null && value > 0 ? value : null)),
    hovertemplate: "%{y:.4g}",
  };
}

/**
 * @param {HTMLElement} container
 * @param {object[]} traces
 * @param {object} layout
 */
async function plot(container, traces, layout) {
  try {
    await loadScript("plotly.min.js");
  } catch (error) {
    container.replaceChildren(element("p", { class: "remark" }, messageOf(error)));
    return;
  }
  if (!container.isConnected) return; // closed or left meanwhile
  await window.Plotly?.react(container, traces, layout, { displayModeBar: false, responsive: true });
}

/**
 * Frees a chart; without it Plotly keeps listening to the window.
 *
 * @param {Element | null} container
 */
export function clearPlot(container) {
  if (window.Plotly && container?.classList.contains("js-plotly-plot")) window.Plotly.purge(container);
}

/** @param {Colors} colors */
function baseLayout(colors) {
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: 11, color: colors.ink },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 48, r: 8, t: 36, b: 36 },
    hovermode: "x",
    hoverlabel: { font: { size: 11 } },
    dragmode: false,
  };
}

/** @param {Colors} colors */
function xAxis(colors) {
  return {
    gridcolor: "rgba(0,0,0,0)",
    linecolor: colors.rule,
    zeroline: false,
    ticks: "outside",
    tickcolor: colors.rule,
    fixedrange: true,
    nticks: 6,
    hoverformat: "d",
  };
}

/**
 * A logarithmic axis.
 *
 * @param {Colors} colors
 * @param {(number | null)[][]} curves
 */
function yAxis(colors, curves) {
  return {
    type: "log",
    gridcolor: colors.rule,
    zeroline: false,
    exponentformat: "power",
    fixedrange: true,
    automargin: true,
    ...yTicks(curves),
  };
}

/**
 * Whole powers of ten, few enough to read; over a decade or so 1, 2 and 5 as well; over less, Plotly's own choice.
 *
 * @param {(number | null)[][]} curves
 */
function yTicks(curves) {
  const logarithms = curves.flatMap((curve) =>
    curve.flatMap((value) => (value !== null && value > 0 ? [Math.log10(value)] : [])),
  );
  const decades = logarithms.length ? Math.max(...logarithms) - Math.min(...logarithms) : 0;
  if (decades < 0.7) return { nticks: 6 };
  return { dtick: decades < 1.5 ? "D2" : Math.ceil(decades / MAX_DECADE_TICKS) };
}

/** @typedef {ReturnType<typeof themeColors>} Colors */

function themeColors() {
  const style = getComputedStyle(document.documentElement);
  const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    ink: color("--ink-soft"),
    rule: color("--rule"),
    terms: TERMS.map((term) => color(`--term-${term}`)),
    runs: Array.from({ length: MAX_PICKS }, (_, run) => color(`--run-${run}`)),
  };
}
