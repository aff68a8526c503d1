import { pipeline, Readable } from 'node:stream';
import { stringify } from 'csv-stringify';
import { Download } from './route.ts';

/** A column of a CSV file: its heading, and its cell of a row. Null makes an empty cell. */
export type CsvColumns<Row> = readonly (readonly [
  heading: string,
  cell: (row: Row) => string | number | null,
])[];

/**
 * Rows as a CSV file, written as they are read. Cells that a spreadsheet would run as a formula are made text, and the
 * byte order mark tells it that this is UTF-8.
 */
export function csvDownload<Row>(
  fileName: string,
  columns: CsvColumns<Row>,
  rows: Iterable<Row> | AsyncIterable<Row>,
): Download {
  async function* lines() {
    yield columns.map(([heading]) => heading);
    for await (const row of rows) yield columns.map(([, cell]) => cell(row));
  }
  const csv = stringify({ bom: true, escape_formulas: true, record_delimiter: 'windows' });
  // An error in the rows destroys the stringifier, where whoever sends the file sees it.
  pipeline(Readable.from(lines()), csv, () => {});
  return new Download('text/csv; charset=utf-8', fileName, csv);
}
