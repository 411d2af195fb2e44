/* A sheet of equal cells, for the matrix and the flat grid. Only cells in sight exist, so that any number of runs fits. */

import { clamp, element } from "./dom.js";

/** @import { Child, Model } from "./types" */

/** @typedef {{ node: HTMLElement, cells: Map<number, HTMLElement> }} Line a row that exists, with its cells by column */

const OVERSCAN_PX = 400;
/* Firefox lays out nothing beyond 17.9 million pixels: what is taller scrolls faster than it is. */
const MAX_HEIGHT_PX = 16e6;

export class Sheet {
  /**
   * @param {HTMLElement} scroller the element that scrolls
   * @param {Record<"open" | "pick", (row: number, column: number) => void>} actions
   */
  constructor(scroller, actions) {
    this.scroller = scroller;
    this.actions = actions;
    this.active = { row: 0, column: 0 };
    /** @type {Model | null} */
    this.shown = null;
    /** @type {number | null} */
    this.frame = null;
    /** @type {Map<number, Line>} */
    this.rows = new Map();
    /** How much more the rows have moved than was scrolled, see `pace`. */
    this.skipped = 0;
    this.grid = element("div", {
      role: "grid",
      class: "cells",
      "aria-describedby": "grid-hint",
      "aria-multiselectable": "true",
    });
    scroller.append(this.grid);
    scroller.addEventListener("scroll", () => this.schedule(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.onKey(event));
    this.grid.addEventListener("click", (event) => this.onClick(event));
    this.grid.addEventListener("focusin", (event) => this.onFocus(event));
  }

  /**
   * Shows a model. `startOver` goes back to the first cell; without it place and focus stay, as when only the size
   * changes.
   *
   * @param {Model} model
   * @param {boolean} startOver
   */
  show(model, startOver) {
    const focused = this.grid.contains(document.activeElement);
    this.shown = model;
    if (startOver) {
      this.active = { row: 0, column: 0 };
      this.scroller.scrollTo(0, 0);
    }
    this.active.row = clamp(this.active.row, 0, Math.max(model.rowCount - 1, 0));
    this.active.column = clamp(this.active.column, 0, Math.max(model.columnCount - 1, 0));
    if (!model.exists(this.active.row, this.active.column)) this.active = { row: 0, column: 0 };
    this.rows.clear();
    this.grid.replaceChildren();
    this.grid.setAttribute("aria-label", model.label);
    this.grid.setAttribute("aria-rowcount", String(model.rowCount + (model.headHeight ? 1 : 0)));
    this.grid.setAttribute("aria-colcount", String(model.columnCount + (model.headWidth ? 1 : 0)));
    this.grid.style.width = `${model.headWidth + model.columnCount * model.cellWidth}px`;
    this.grid.style.height = `${Math.min(this.fullHeight, MAX_HEIGHT_PX)}px`;
    this.draw();
    if (focused) this.cellAt(this.active.row, this.active.column)?.focus({ preventScroll: true });
  }

  /** What is shown; cells exist only of a model. */
  get model() {
    if (!this.shown) throw new Error("the sheet shows nothing yet");
    return this.shown;
  }

  get fullHeight() {
    return this.model.headHeight + this.model.rowCount * this.model.cellHeight;
  }

  /** By how much the rows move for a pixel of scrolling: by one, unless they are too tall for the browser. */
  get pace() {
    const { clientHeight } = this.scroller;
    return this.fullHeight > MAX_HEIGHT_PX ? (this.fullHeight - clientHeight) / (MAX_HEIGHT_PX - clientHeight) : 1;
  }

  /**
   * Where a row lies; one that is far from sight may not lie beyond the end.
   *
   * @param {number} row
   */
  topOf(row) {
    const { headHeight, cellHeight } = this.model;
    return Math.min(headHeight + row * cellHeight - this.skipped, MAX_HEIGHT_PX - cellHeight);
  }

  schedule() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /** Makes the cells in sight exist and drops the others, except the one that holds the focus. */
  draw() {
    if (!this.shown || this.scroller.hidden) return;
    const { pace } = this;
    this.skipped = pace === 1 ? 0 : this.scroller.scrollTop * (pace - 1);
    const columns = this.visible("Left", "Width", this.model.columnCount, this.active.column);
    const rows = this.visible("Top", "Height", this.model.rowCount, this.active.row);
    this.drawHead(columns);
    for (const [row, line] of this.rows) {
      if (row >= 0 && !rows.has(row)) {
        line.node.remove();
        this.rows.delete(row);
      } else if (row >= 0 && pace !== 1) line.node.style.top = `${this.topOf(row)}px`;
    }
    for (const row of rows) this.drawCells(this.line(row), row, columns);
  }

  /**
   * @param {"Left" | "Top"} side
   * @param {"Width" | "Height"} extent
   * @param {number} count
   * @param {number} active
   */
  visible(side, extent, count, active) {
    const size = this.model[/** @type {const} */ (`cell${extent}`)];
    const offset = this.scroller[/** @type {const} */ (`scroll${side}`)] * (side === "Top" ? this.pace : 1);
    const first = Math.max(Math.floor((offset - OVERSCAN_PX) / size), 0);
    const last = Math.min(
      Math.ceil((offset + this.scroller[/** @type {const} */ (`client${extent}`)] + OVERSCAN_PX) / size),
      count,
    );
    const places = new Set(active < count ? [active] : []);
    for (let place = first; place < last; place++) places.add(place);
    return places;
  }

  /** @param {Set<number>} columns */
  drawHead(columns) {
    if (!this.model.headHeight) return;
    const line = this.rows.get(-1) ?? this.addLine(-1, this.headRow());
    this.drawCells(line, -1, columns);
  }

  headRow() {
    const node = element("div", { role: "row", class: "head-row", "aria-rowindex": 1 });
    node.style.height = `${this.model.headHeight}px`;
    if (this.model.headWidth) node.append(this.head("columnheader", "corner", this.model.corner?.() ?? [], 1));
    return node;
  }

  /**
   * @param {string} role
   * @param {string} className
   * @param {Child[]} content
   * @param {number} columnIndex
   */
  head(role, className, content, columnIndex) {
    const node = element("div", { role, class: `head ${className}`, "aria-colindex": columnIndex }, content);
    if (className !== "column-head") node.style.width = `${this.model.headWidth}px`;
    return node;
  }

  /** @param {number} row */
  line(row) {
    const line = this.rows.get(row);
    if (line) return line;
    const { headHeight, headWidth, cellHeight } = this.model;
    const node = element("div", { role: "row", class: "row", "aria-rowindex": row + (headHeight ? 2 : 1) });
    node.style.top = `${this.topOf(row)}px`;
    node.style.height = `${cellHeight}px`;
    if (headWidth) node.append(this.head("rowheader", "row-head", this.model.rowHead?.(row) ?? [], 1));
    return this.addLine(row, node);
  }

  /**
   * Rows lie in the document in their order, whatever order they were scrolled to in: readers follow it.
   *
   * @param {number} row
   * @param {HTMLElement} node
   * @returns {Line}
   */
  addLine(row, node) {
    /** @type {Line} */
    const line = { node, cells: new Map() };
    const later = [...this.rows].filter(([other]) => other > row).sort(([a], [b]) => a - b)[0];
    this.grid.insertBefore(node, later ? later[1].node : null);
    this.rows.set(row, line);
    return line;
  }

  /**
   * @param {Line} line
   * @param {number} row
   * @param {Set<number>} columns
   */
  drawCells(line, row, columns) {
    for (const [column, node] of line.cells) {
      if (!columns.has(column)) {
        node.remove();
        line.cells.delete(column);
      }
    }
    for (const column of [...columns].sort((a, b) => a - b)) {
      if (!line.cells.has(column) && (row < 0 || this.model.exists(row, column))) this.addCell(line, row, column);
    }
  }

  /**
   * @param {Line} line
   * @param {number} row
   * @param {number} column
   */
  addCell(line, row, column) {
    const { headWidth, cellWidth, cellHeight } = this.model;
    const columnIndex = column + (headWidth ? 2 : 1);
    const node =
      row < 0
        ? this.head("columnheader", "column-head", this.model.columnHead?.(column) ?? [], columnIndex)
        : this.model.cell(row, column);
    node.style.left = `${headWidth + column * cellWidth}px`;
    node.style.width = `${cellWidth}px`;
    if (row >= 0) this.prepareCell(node, row, column, columnIndex, cellHeight);
    const later = [...line.cells].filter(([other]) => other > column).sort(([a], [b]) => a - b)[0];
    line.node.insertBefore(node, later ? later[1] : null);
    line.cells.set(column, node);
  }

  /**
   * @param {HTMLElement} node
   * @param {number} row
   * @param {number} column
   * @param {number} columnIndex
   * @param {number} cellHeight
   */
  prepareCell(node, row, column, columnIndex, cellHeight) {
    node.style.height = `${cellHeight}px`;
    node.setAttribute("role", "gridcell");
    node.setAttribute("aria-colindex", String(columnIndex));
    node.tabIndex = row === this.active.row && column === this.active.column ? 0 : -1;
    node.place = { row, column };
  }

  /**
   * The element of a cell, if it exists at the moment.
   *
   * @param {number} row
   * @param {number} column
   */
  cellAt(row, column) {
    return this.rows.get(row)?.cells.get(column);
  }

  /**
   * Calls back with every cell that exists.
   *
   * @param {(node: HTMLElement, row: number, column: number) => void} visit
   */
  eachCell(visit) {
    for (const [row, line] of this.rows) {
      if (row >= 0) for (const [column, node] of line.cells) visit(node, row, column);
    }
  }

  /**
   * Makes a cell the one that Tab reaches, brings it into sight and gives it the focus.
   *
   * @param {number} row
   * @param {number} column
   */
  focusCell(row, column) {
    if (!this.model.exists(row, column)) return;
    this.activate(row, column);
    this.reveal(row, column);
    this.draw();
    this.cellAt(row, column)?.focus({ preventScroll: true });
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  activate(row, column) {
    const before = this.cellAt(this.active.row, this.active.column);
    if (before) before.tabIndex = -1;
    this.active = { row, column };
    const after = this.cellAt(row, column);
    if (after) after.tabIndex = 0;
  }

  /**
   * @param {number} row
   * @param {number} column
   */
  reveal(row, column) {
    const { cellWidth, cellHeight, headWidth, headHeight } = this.model;
    const { scroller } = this;
    const left = column * cellWidth;
    const top = row * cellHeight;
    scroller.scrollLeft = clamp(scroller.scrollLeft, left + cellWidth - (scroller.clientWidth - headWidth), left);
    const shown = clamp(scroller.scrollTop * this.pace, top + cellHeight - (scroller.clientHeight - headHeight), top);
    if (shown !== scroller.scrollTop * this.pace) scroller.scrollTop = shown / this.pace;
  }

  /** @param {FocusEvent} event */
  onFocus(event) {
    const place = cellOf(event)?.place;
    if (place) this.activate(place.row, place.column);
  }

  /** @param {MouseEvent} event */
  onClick(event) {
    const place = cellOf(event)?.place;
    if (!place) return;
    if (onPick(event)) this.actions.pick(place.row, place.column);
    else this.actions.open(place.row, place.column);
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.altKey || event.metaKey || onPick(event)) return;
    const { row, column } = this.active;
    if (event.key === "Enter") this.actions.open(row, column);
    else if (event.key === " ") this.actions.pick(row, column);
    else if (!this.move(event, row, column)) return;
    event.preventDefault();
  }

  /**
   * Moves the focus; whether the key was one that does.
   *
   * @param {KeyboardEvent} event
   * @param {number} row
   * @param {number} column
   */
  move(event, row, column) {
    const { rowCount, columnCount, cellHeight } = this.model;
    const page = Math.max(Math.floor(this.scroller.clientHeight / cellHeight), 1);
    const far = event.ctrlKey;
    /** @type {Record<string, [row: number, column: number]>} */
    const targets = {
      ArrowLeft: [row, column - 1],
      ArrowRight: [row, column + 1],
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      PageUp: [Math.max(row - page, 0), column],
      PageDown: [Math.min(row + page, rowCount - 1), column],
      Home: [far ? 0 : row, 0],
      End: [far ? rowCount - 1 : row, this.lastColumn(far ? rowCount - 1 : row)],
    };
    const target = targets[event.key];
    if (!target) return false;
    const next = this.wrapped(...target, columnCount);
    this.focusCell(next.row, next.column);
    return true;
  }

  /** @param {number} row */
  lastColumn(row) {
    let column = this.model.columnCount - 1;
    while (column > 0 && !this.model.exists(row, column)) column--;
    return column;
  }

  /**
   * In a flat grid, the next picture after the last of a row is the first of the row below.
   *
   * @param {number} row
   * @param {number} column
   * @param {number} columnCount
   */
  wrapped(row, column, columnCount) {
    if (!this.model.flows) return { row, column };
    if (column < 0) return { row: row - 1, column: columnCount - 1 };
    if (column >= columnCount) return { row: row + 1, column: 0 };
    return { row, column };
  }
}

/**
 * @param {Event} event
 * @returns {HTMLElement | null}
 */
function cellOf(event) {
  return event.target instanceof Element ? event.target.closest(".cell") : null;
}

/**
 * Whether the event comes from a pick button.
 *
 * @param {Event} event
 */
function onPick(event) {
  return event.target instanceof Element && event.target.closest(".pick") !== null;
}
