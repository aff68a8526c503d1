import { inflateSync } from 'node:zlib';

/** Just enough of a PDF reader for what PDFKit writes: no program outside npm is needed to look into a document. */
export type ReadPdf = {
  pageCount: number;
  /** One entry for each piece of text drawn at once, in the order of drawing. */
  runs: string[];
  /** All runs, one on a line. */
  text: string;
  /** The uncompressed objects: info dictionary, structure elements. */
  source: string;
};

/** The code point for each glyph code of a font, from its ToUnicode map. */
function readToUnicode(cmap: string): Map<number, string> {
  const letters = new Map<number, string>();
  for (const [, first = '', , values = ''] of cmap.matchAll(/<(\w+)> <(\w+)> \[([^\]]*)\]/g)) {
    [...values.matchAll(/<([^>]*)>/g)].forEach(([, hex = ''], index) => {
      const letter = Buffer.from(hex.replace(/\s/g, ''), 'hex').swap16().toString('utf16le');
      letters.set(Number.parseInt(first, 16) + index, letter);
    });
  }
  return letters;
}

export function readPdf(pdf: Buffer): ReadPdf {
  const source = pdf.toString('latin1');
  const streams = new Map<string, string>();
  for (const match of source.matchAll(/(\d+) 0 obj\n<<(?:(?!endobj)[\s\S])*?>>\nstream\n/g)) {
    const start = match.index + match[0].length;
    const bytes = pdf.subarray(start, source.indexOf('\nendstream', start));
    const isDeflated = match[0].includes('FlateDecode');
    streams.set(match[1] ?? '', (isDeflated ? inflateSync(bytes) : bytes).toString('latin1'));
  }
  const fonts = new Map<string, Map<number, string>>();
  for (const [, name = '', id = ''] of source.matchAll(/\/(F\d+) (\d+) 0 R/g)) {
    const font = new RegExp(`\\n${id} 0 obj\\n[\\s\\S]*?/ToUnicode (\\d+) 0 R`).exec(source);
    fonts.set(name, readToUnicode(streams.get(font?.[1] ?? '') ?? ''));
  }
  const runs: string[] = [];
  for (const content of streams.values()) {
    for (const [, block = ''] of content.matchAll(/\bBT\n([\s\S]*?)\nET\b/g)) {
      const letters = fonts.get(/\/(F\d+) /.exec(block)?.[1] ?? '');
      const codes = [...block.matchAll(/<([0-9a-f]+)>/g)].flatMap(([, hex = '']) => hex.match(/.{4}/g) ?? []);
      runs.push(codes.map((code) => letters?.get(Number.parseInt(code, 16)) ?? '\uFFFD').join(''));
    }
  }
  return {
    pageCount: [...source.matchAll(/\/Type \/Page\n/g)].length,
    runs,
    text: runs.join('\n'),
    source,
  };
}
