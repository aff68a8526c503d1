import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { printableText, wrapText } from '../../src/documents/pdf-text.ts';
import { type PdfMeta, renderPdf } from '../../src/documents/pdf.ts';
import { readPdf } from './read-pdf.ts';

const meta: PdfMeta = {
  title: 'A Title',
  subject: 'A subject',
  author: 'Somebody',
  reference: 'PO-2026-7Q4K9D2M',
  documentId: 'PO-2026-7Q4K9D2M · attempt 1',
  createdAt: new Date('2026-03-04T15:07:00Z'),
};

it('rejects instead of hanging when drawing throws', async () => {
  const draw = () => {
    throw new Error('no ink');
  };
  await expect(renderPdf(draw, meta)).rejects.toThrow('no ink');
});

describe('every document', () => {
  it('says what it is: tagged, in English, with title, author, subject and the given date', async () => {
    const { source } = readPdf(await renderPdf((sheet) => sheet.paragraph('Hello'), meta));
    for (const part of ['/Marked true', '/Lang (en-US)', '/DisplayDocTitle true', '/StructTreeRoot']) {
      expect(source).toContain(part);
    }
    for (const part of ['(A Title)', '(Somebody)', '(A subject)', '(D:20260304150700Z)']) {
      expect(source).toContain(part);
    }
    for (const role of ['Document', 'H1', 'P']) expect(source).toContain(`/S /${role}\n`);
  });

  it('embeds its fonts and uses no built-in one', async () => {
    const { source } = readPdf(await renderPdf((sheet) => sheet.paragraph('Hello'), meta));
    expect(source).toMatch(/\/FontFile2 /);
    expect(source).not.toMatch(/Helvetica/);
  });

  it('has header, document id and page number on each page', async () => {
    const pdf = await renderPdf((sheet) => {
      for (let line = 0; line < 100; line += 1) sheet.paragraph(`Line ${line}`);
    }, meta);
    const { pageCount, runs } = readPdf(pdf);
    expect(pageCount).toBe(3);
    expect(runs.filter((run) => run === meta.documentId)).toHaveLength(3);
    for (const page of [1, 2, 3]) expect(runs).toContain(`Page ${page} of 3`);
    expect(runs.filter((run) => run === 'A Title · PO-2026-7Q4K9D2M')).toHaveLength(2);
    expect(runs.filter((run) => run.startsWith('Line '))).toHaveLength(100);
  });

  it('can be copied right, whatever was rendered before', async () => {
    const render = (text: string) => renderPdf((sheet) => sheet.paragraph(text), meta);
    // What once leaked through the shared font: the letter Z, first used under a pile of accents, had lost its
    // meaning in all later documents. No other test may use a Z before.
    await render(`Z${'\u0301'.repeat(5)} \uFB01 \uFEFB अ 王 \u{1F600}`);
    const text = 'ZIP 94105, office affidavit: fi fl ffi, Zoë Żółć';
    const first = await render(text);
    expect(readPdf(first).runs).toContain(text);
    await render('\uFB03 Ź\u0302\u0302 \uFEFB');
    expect((await render(text)).equals(first)).toBe(true);
  });
});

describe('printable text', () => {
  it.each([
    [
      'keeps Latin, Vietnamese, Greek and Cyrillic',
      'Łukasz Nguyễn Ψυχή Дмитрий',
      'Łukasz Nguyễn Ψυχή Дмитрий',
    ],
    ['composes what comes decomposed', 'Nguye\u0302\u0303n', 'Nguyễn'],
    ['drops control characters', 'A\u0000B\u001BC\u007F', 'A B C'],
    [
      'drops bidi overrides and invisible characters',
      'a\u202Egnp\u202C\u2066.\u200Bexe\uFEFF\u00AD',
      'agnp.exe',
    ],
    ['makes one line of many', ' a\r\n\tb\u2028c\u00A0d ', 'a b c d'],
    ['shows what has no glyph', '王小明', '\uFFFD\uFFFD\uFFFD'],
    ['shows a lone surrogate', 'a\uD800b', 'a\uFFFDb'],
    ['spells ligatures out', '\uFB01n', 'fin'],
    ['limits marks on one letter', `Q${'\u0301'.repeat(50)}`, `Q${'\u0301'.repeat(4)}`],
  ])('%s', (_, text, printed) => {
    expect(printableText(text)).toBe(printed);
  });

  it('cuts after 1,000 characters, with an ellipsis', () => {
    const cut = printableText('x'.repeat(10_000));
    expect(cut).toHaveLength(1000);
    expect(cut.endsWith('…')).toBe(true);
  });
});

describe('wrapped text', () => {
  const upTo = (length: number) => (line: string) => line.length <= length;

  it('breaks between words, and within a word only when it is longer than a line', () => {
    expect(wrapText('to be or not', 9, upTo(6))).toEqual(['to be', 'or not']);
    expect(wrapText('a supercalifragilistic b', 9, upTo(8))).toEqual(['a', 'supercal', 'ifragili', 'stic b']);
  });

  it('ends in an ellipsis where it is cut', () => {
    expect(wrapText('one two three four', 2, upTo(5))).toEqual(['one', 'two…']);
  });

  it('loses nothing when there is room, and never has more or longer lines than allowed', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 5 }), (list, maxLines) => {
        const text = list.join(' ');
        expect(wrapText(text, 1000, upTo(10)).join('').replaceAll(' ', '')).toBe(list.join(''));
        const lines = wrapText(text, maxLines, upTo(10));
        expect(lines.length).toBeLessThanOrEqual(maxLines);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(10);
      }),
    );
  });
});
