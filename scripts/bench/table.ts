/** The results as a table for people: a row a rival with its medians, then a row a rival with its ratios. */

import { FIGURE_TABLES, type FigureColumn, type Medians } from "./measurement.ts";

export interface TableRow {
  readonly name: string;
  readonly medians: Medians;
  /** Multiples of the reference's figures; absent for the reference itself. */
  readonly ratios: Medians | undefined;
}

/** Aligned Markdown. A figure that does not exist is an empty cell; one that no rival has is left out. */
export function formatTables(rows: readonly TableRow[], referenceName: string): string {
  return FIGURE_TABLES.map((columns) => columns.filter(({ figure }) => rows.some(({ medians }) => figure in medians)))
    .filter((columns) => columns.length > 0)
    .map((columns) => formatTable(columns, rows, referenceName))
    .join("\n\n");
}

function formatTable(columns: readonly FigureColumn[], rows: readonly TableRow[], referenceName: string): string {
  const header = ["", ...columns.map((column) => column.title)];
  const medians = rows.map((row) => [
    row.name,
    ...columns.map((c) => row.medians[c.figure]?.toFixed(c.decimals) ?? ""),
  ]);
  const ratios = rows.flatMap(({ name, ratios }) => {
    if (!columns.some((column) => ratios?.[column.figure] !== undefined)) return [];
    return [[`${name} / ${referenceName}`, ...columns.map((column) => formatRatio(ratios?.[column.figure]))]];
  });
  const better = ["better is", ...columns.map((column) => column.isBetter)];
  return formatRows([header, ...medians, ...ratios, better]);
}

function formatRatio(ratio: number | undefined): string {
  return ratio === undefined ? "" : `${ratio.toFixed(2)}x`;
}

/** Markdown with a header, the first column to the left and the others to the right. */
export function formatRows([header = [], ...rows]: readonly string[][]): string {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0), 3));
  const formatRow = (row: readonly string[]) =>
    `| ${widths.map((width, column) => pad(row[column] ?? "", width, column)).join(" | ")} |`;
  const rule = widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [header, rule, ...rows].map(formatRow).join("\n");
}

function pad(cell: string, width: number, column: number): string {
  return column === 0 ? cell.padEnd(width) : cell.padStart(width);
}
