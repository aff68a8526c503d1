import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const MAX_CHARACTERS = 1000;

type ParsedFont = {
  characterSet: number[];
  hasGlyphForCodePoint(codePoint: number): boolean;
  glyphForCodePoint(codePoint: number): unknown;
  layout(text: string): unknown;
};
let parsedFonts: Record<'regular' | 'bold', ParsedFont> | undefined;

/**
 * DejaVu Sans, read and parsed once for the process. PDFKit (since 0.20) takes fontkit's parsed font; given bytes it
 * would parse them again for each document. fontkit is resolved from PDFKit's place, so that it is PDFKit's own.
 */
export function fonts(): Record<'regular' | 'bold', ParsedFont> {
  if (parsedFonts) return parsedFonts;
  const { resolve } = createRequire(import.meta.url);
  const fontkit = createRequire(resolve('pdfkit'))('fontkit') as { create(bytes: Uint8Array): ParsedFont };
  const load = (name: string) => {
    const font = fontkit.create(readFileSync(resolve(`dejavu-fonts-ttf/ttf/${name}.ttf`)));
    // A parsed font remembers for each glyph the letters for which it was first used, and these are what a reader
    // copies out of the PDF. Settled here, no document's text can show in a later one: ligatures as their letters
    // ('fi', not U+FB01), every other glyph as its own character.
    font.layout('ff fi fl ffi ffl');
    for (const codePoint of font.characterSet) font.glyphForCodePoint(codePoint);
    return font;
  };
  return (parsedFonts = { regular: load('DejaVuSans'), bold: load('DejaVuSans-Bold') });
}

/**
 * The text as it can be printed on one line: no control or invisible characters, no bidi overrides (they can make an
 * account holder read as somebody else), U+FFFD for what the font has no glyph for, at most 1,000 characters.
 */
export function printableText(text: string, weight: 'regular' | 'bold' = 'regular'): string {
  const font = fonts()[weight];
  const cleaned = text
    .slice(0, 4 * MAX_CHARACTERS)
    // Ready-made ligatures and Arabic forms become the letters they stand for, so that a name copies as it is typed.
    .replace(/[\uFB00-\uFDFF\uFE70-\uFEFC]/g, (form) => form.normalize('NFKC'))
    .normalize('NFC')
    .replace(/(?![\u200C\u200D])\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(/[\s\p{Cc}\u2028\u2029]+/gu, ' ')
    // No script stacks more marks on one letter; a tower of them would cover the lines above.
    .replace(/(\p{M}{4})\p{M}+/gu, '$1')
    .trim();
  const characters = Array.from(cleaned, (character) =>
    font.hasGlyphForCodePoint(character.codePointAt(0) ?? 0) ? character : '\uFFFD',
  );
  if (characters.length <= MAX_CHARACTERS) return characters.join('');
  return `${characters.slice(0, MAX_CHARACTERS - 1).join('')}…`;
}

const graphemes = (text: string) =>
  Array.from(new Intl.Segmenter('en').segment(text), ({ segment }) => segment);

/** Breaks between words, and inside a word only where the word alone is longer than a line. */
export function wrapText(text: string, maxLines: number, fits: (line: string) => boolean): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (fits(joined)) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    for (const piece of fits(word) ? [word] : graphemes(word)) {
      if (line !== '' && !fits(line + piece)) {
        lines.push(line);
        line = '';
      }
      line += piece;
    }
  }
  lines.push(line);
  if (lines.length <= maxLines) return lines;
  const last = graphemes(lines[maxLines - 1] ?? '');
  while (last.length > 0 && !fits(`${last.join('')}…`)) last.pop();
  return [...lines.slice(0, maxLines - 1), `${last.join('').trimEnd()}…`];
}
