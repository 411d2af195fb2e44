/* What the modules hand each other; checked, and never part of the page. */

/** A value of a dimension; `full` only where it says more than the label. */
export interface Value {
  label: string;
  full?: string;
  thumbs?: string[];
}

/** What can be a row, a column or a filter. */
export interface Dimension {
  key: string;
  kind: "content" | "style" | "parameter" | "label";
  ordered: boolean;
  values: Value[];
}

/** A column of losses; `short` is its name in a run's history. */
export interface Loss {
  key: string;
  label: string;
  short: string;
}

/** A column of measures, and whether less or more of it is better. */
export interface Measure {
  key: string;
  label: string;
  better: "min" | "max";
}

/** A number that each run may have; `better` is null for one that is neither good nor bad. */
export interface Quantity {
  key: string;
  label: string;
  better: "min" | "max" | null;
}

/** A rectangle in the scatter, in its quantities; a side that is null is open. */
export type Brush = [xFrom: number | null, xTo: number | null, yFrom: number | null, yTo: number | null];

/** What page.py embeds; made by files.py and summary.py. */
export interface Index {
  title: string;
  /** What the browser keeps this gallery's choices under. */
  grid: string;
  runs: number;
  failures: number;
  failure_types: [string, number][];
  losses: Loss[];
  /** Those that some run has. */
  measures: Measure[];
  dimensions: Dimension[];
  parts: PartIndex[];
}

/** The runs of one metrics file. */
export interface PartIndex {
  rows: number;
  /** Paths of chunks: at most one of runs, and one of numbers. */
  runs: string[];
  numbers: string[];
  failures: string[];
  /** By dimension: which of its values each code of the part stands for. */
  codes: Record<string, number[]>;
  /** Runs that another part has shown before. */
  hidden?: number[];
}

/** A part's runs as packed columns; a dimension in which they agree has no codes. */
export interface RunsRecord {
  ids: string;
  height: string | number;
  width: string | number;
  codes: Record<string, string>;
  details: string[];
  starts: number[];
}

/** Losses by iteration: `iteration`, and a curve for each loss by its short name; null where it is not finite. */
export interface History {
  iteration: number[];
  [short: string]: (number | null)[];
}

/** All that is known of one run. */
export interface Detail {
  run_id: string;
  content: string;
  style: { uri: string; weight: number; scale?: number; content_mask?: string; style_mask?: string }[];
  initial: string | null;
  content_thumb: string | null;
  style_thumbs: (string | null)[];
  /** Of each style first the content mask. */
  mask_thumbs: (string | null)[];
  initial_thumb: string | null;
  config: Record<string, unknown>;
  extra: unknown;
  history: History;
  /** The iterations of the pictures on the way. */
  frames: number[] | null;
  iterations: number;
  [column: string]: unknown;
}

/** A row that failed. */
export interface Failure {
  manifest_row: number | null;
  content: string | null;
  style: { uri: string }[] | null;
  error_type: string | null;
  error_message: string | null;
}

/** The view: what the address after # spells out. */
export interface View {
  view: "matrix" | "grid" | "scatter" | "failed";
  rows: string | null;
  cols: string | null;
  filters: Map<string, Set<number>>;
  sort: string;
  descending: boolean;
  size: number | null;
  run: string | null;
  x: string | null;
  y: string | null;
  brush: Brush | null;
  /** What colours cells and points. */
  color: string | null;
  /** By what the best of each group is marked. */
  best: string | null;
  bestOf: "row" | "column" | "pair";
  chosen: "all" | "chosen" | "open" | "kept" | "rejected";
  picks: string[];
  comparing: boolean;
}

/** What a reader thinks of a run. */
export interface Choice {
  rating: number | null;
  tags: string[];
  rejected: boolean;
}

/** Numbers of runs. */
export type Runs = Uint32Array;

/** Where a cell lies. */
export interface Place {
  row: number;
  column: number;
}

/** What a Sheet shows; heads are left out where their size is 0. */
export interface Model {
  label: string;
  /** Whether the picture after the last of a row is the first of the row below. */
  flows?: boolean;
  rowCount: number;
  columnCount: number;
  cellWidth: number;
  cellHeight: number;
  headWidth: number;
  headHeight: number;
  exists(row: number, column: number): boolean;
  cell(row: number, column: number): HTMLElement;
  corner?(): Child[];
  rowHead?(row: number): Child[];
  columnHead?(column: number): Child[];
  /** The runs of a cell, best first. */
  runsAt(row: number, column: number): Runs;
  /** All runs in the order in which the arrow keys go through them. */
  sequence(): Runs;
  placeOf(run: number): Place | null;
}

/** What `element` takes as a child: null and undefined are left out. */
export type Child = Node | string | null | undefined;
export type Attributes = Record<string, string | number | boolean | null | undefined>;

declare global {
  interface Window {
    styleBeamGallery: Readonly<{ receive(key: string, records: any[]): void }>;
    /** Once plotly.min.js has been loaded. */
    Plotly?: {
      react(node: Element, traces: object[], layout: object, config: object): Promise<unknown>;
      purge(node: Element): void;
    };
  }
  interface HTMLElement {
    /** Of a Sheet's cells. */
    place?: Place;
  }
}
