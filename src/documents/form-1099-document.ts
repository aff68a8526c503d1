import { formatUsd } from './money-words.ts';
import { COLORS, type PdfSheet, type TextStyle } from './pdf-sheet.ts';
import { renderPdf } from './pdf.ts';

/** Both TINs come formatted: masked ('XXX-XX-1234') for copy B, full for copy C where the caller may show it. */
export type Form1099MiscInput = {
  formId: string;
  taxYear: number;
  copy: 'B' | 'C';
  status: 'draft' | 'issued' | 'corrected' | 'void';
  payer: { name: string; addressLines: string[]; tin: string; phone?: string };
  recipient: { name: string; addressLines: string[]; tin: string };
  accountNumber?: string;
  box3OtherIncomeCents: number;
  box4FederalTaxWithheldCents: number;
  issuedAt?: Date;
};

type CellContent = { label: string; kind?: 'money' | 'text' | 'checkbox'; value?: string };
type Area = { x: number; y: number; width: number; height: number };
type Revision = { name: string; box13: CellContent[]; box14: CellContent };

const TITLE = 'Miscellaneous Information';
const ROW_HEIGHT = 42;
const FORM_TOP = 76;
const ROWS = 9;
const LEFT_WIDTH = 222;
const BOX_WIDTH = 110;
const LABEL: TextStyle = { sizePt: 6.2, maxLines: 4 };
const VALUE: TextStyle = { sizePt: 9, bold: true, maxLines: 2 };

const money = (label: string, value?: string): CellContent => ({ label, kind: 'money', value });
const checkbox = (label: string): CellContent => ({ label, kind: 'checkbox' });

/**
 * What the IRS changed between revisions of the form: box 14 was emptied for 2025 (excess golden parachute payments
 * went to the 1099-NEC); for 2026 boxes 13 and 14 report tips and overtime (P.L. 119-21, sections 70201 and 70202).
 * Boxes 3 and 4, the only ones that a payout fills, are the same in all of them.
 */
function revisionFor(taxYear: number): Revision {
  if (taxYear >= 2026) {
    return {
      name: 'Rev. December 2026',
      box13: [checkbox('FATCA filing requirement'), money('13a Cash tips'), { label: '13b TTOC(s)' }],
      box14: money('14 Overtime compensation'),
    };
  }
  const box13 = [checkbox('2nd TIN not.'), checkbox('13 FATCA filing requirement')];
  return taxYear === 2025
    ? { name: 'Rev. April 2025', box13, box14: { label: '14 Reserved for future use' } }
    : { name: 'Rev. January 2024', box13, box14: money('14 Excess golden parachute payments') };
}

/** Columns A and B of the form's grid, from top to bottom; in the first two rows B belongs to the form's name. */
function boxRows(input: Form1099MiscInput, revision: Revision): [CellContent, CellContent?][] {
  const amount = (cents: number) => formatUsd(cents).replace('$', '');
  return [
    [money('1 Rents')],
    [money('2 Royalties')],
    [
      money('3 Other income', amount(input.box3OtherIncomeCents)),
      money('4 Federal income tax withheld', amount(input.box4FederalTaxWithheldCents)),
    ],
    [money('5 Fishing boat proceeds'), money('6 Medical and health care payments')],
    [
      checkbox(
        '7 Payer made direct sales totaling $5,000 or more of consumer products to recipient for resale',
      ),
      money('8 Substitute payments in lieu of dividends or interest'),
    ],
    [money('9 Crop insurance proceeds'), money('10 Gross proceeds paid to an attorney')],
    [money('11 Fish purchased for resale'), money('12 Section 409A deferrals')],
    [revision.box14, money('15 Nonqualified deferred compensation')],
    [money('16 State tax withheld'), { label: "17 State/Payer's state no." }],
  ];
}

function drawCheckbox(sheet: PdfSheet, x: number, y: number, isChecked: boolean): void {
  sheet.shape((doc) => {
    doc.lineWidth(0.8).rect(x, y, 9, 9).stroke(COLORS.ink);
    if (!isChecked) return;
    const [near, far] = [2, 7];
    doc.moveTo(x + near, y + near).lineTo(x + far, y + far);
    doc.moveTo(x + far, y + near).lineTo(x + near, y + far);
    doc.lineWidth(1.4).stroke(COLORS.ink);
  });
}

function drawCell(sheet: PdfSheet, { x, y, width, height }: Area, { label, kind, value }: CellContent): void {
  const isMoney = kind === 'money';
  sheet.shape((doc) => {
    // The filled boxes are tinted, so that the eye finds two amounts among eighteen boxes.
    if (isMoney && value !== undefined) doc.rect(x, y, width, height).fill(COLORS.fill);
    doc.lineWidth(0.6).rect(x, y, width, height).stroke(COLORS.ink);
  });
  const bottomLine = y + height - 14;
  sheet.text('P', label, { x: x + 3, y: y + 3, width: width - 6 }, LABEL);
  if (kind === 'checkbox') drawCheckbox(sheet, x + width - 13, bottomLine + 1, false);
  if (isMoney) sheet.artifactText('$', { x: x + 3, y: bottomLine, width: 10 }, VALUE);
  if (value === undefined) return;
  if (isMoney) {
    const amountStyle: TextStyle = { ...VALUE, align: 'right', maxLines: 1 };
    sheet.text('P', value, { x: x + 11, y: bottomLine, width: width - 15 }, amountStyle);
  } else {
    sheet.text('P', value, { x: x + 3, y: y + 16, width: width - 6 }, VALUE);
  }
}

function drawParty(sheet: PdfSheet, area: Area, label: string, lines: string[]): void {
  drawCell(sheet, area, { label });
  let y = area.y + 7 + sheet.heightOf(label, area.width - 6, LABEL);
  lines.forEach((line, index) => {
    const box = { x: area.x + 5, y, width: area.width - 10 };
    const style: TextStyle = { sizePt: 9, maxLines: 2, bold: index === 0 };
    // What does not fit into the block is left away rather than written over the next one.
    if (y + sheet.heightOf(line, box.width, style) > area.y + area.height) return;
    y += sheet.text('P', line, box, style);
  });
}

function drawLeftColumn(sheet: PdfSheet, input: Form1099MiscInput, revision: Revision): void {
  const { payer, recipient } = input;
  let y = FORM_TOP;
  /** The next `rows` of the column, cut into equal `parts` side by side. */
  const next = (rows: number, parts = 1): Area[] => {
    const width = LEFT_WIDTH / parts;
    const height = rows * ROW_HEIGHT;
    const areas = Array.from({ length: parts }, (_, index) => ({
      x: sheet.left + index * width,
      y,
      width,
      height,
    }));
    y += height;
    return areas;
  };
  for (const area of next(3)) {
    const label =
      "PAYER'S name, street address, city or town, state or province, country, ZIP or foreign postal code, and telephone no.";
    drawParty(sheet, area, label, [payer.name, ...payer.addressLines, ...(payer.phone ? [payer.phone] : [])]);
  }
  const tins = [
    { label: "PAYER'S TIN", value: payer.tin },
    { label: "RECIPIENT'S TIN", value: recipient.tin },
  ];
  next(1, 2).forEach((area, index) => drawCell(sheet, area, tins[index] ?? { label: '' }));
  for (const area of next(3)) {
    const label =
      "RECIPIENT'S name, street address (including apt. no.), city or town, state or province, country, and ZIP or foreign postal code";
    drawParty(sheet, area, label, [recipient.name, ...recipient.addressLines]);
  }
  const { box13 } = revision;
  next(1, box13.length).forEach((area, index) => drawCell(sheet, area, box13[index] ?? { label: '' }));
  for (const area of next(1)) {
    drawCell(sheet, area, { label: 'Account number (see instructions)', value: input.accountNumber });
  }
}

function drawRightColumns(sheet: PdfSheet, input: Form1099MiscInput, revision: Revision): void {
  const a = sheet.left + LEFT_WIDTH;
  const b = a + BOX_WIDTH;
  const right = b + BOX_WIDTH;
  const rightWidth = sheet.right - right;
  const rowAt = (row: number) => FORM_TOP + row * ROW_HEIGHT;
  boxRows(input, revision).forEach(([boxA, boxB], row) => {
    const area = { y: rowAt(row), width: BOX_WIDTH, height: ROW_HEIGHT };
    drawCell(sheet, { ...area, x: a }, boxA);
    if (boxB) drawCell(sheet, { ...area, x: b }, boxB);
  });
  const box18 = { x: right, y: rowAt(ROWS - 1), width: rightWidth, height: ROW_HEIGHT };
  drawCell(sheet, box18, money('18 State income'));

  sheet.shape((doc) => {
    doc
      .lineWidth(0.6)
      .rect(b, FORM_TOP, BOX_WIDTH, 2 * ROW_HEIGHT)
      .stroke(COLORS.ink);
    doc.rect(right, FORM_TOP, rightWidth, (ROWS - 1) * ROW_HEIGHT).stroke(COLORS.ink);
  });
  const name = { x: b + 4, width: BOX_WIDTH - 8 };
  const centered = (sizePt: number, bold = false): TextStyle => ({ sizePt, bold, align: 'center' });
  sheet.text('P', 'OMB No. 1545-0115', { ...name, y: FORM_TOP + 6 }, centered(7));
  sheet.text('P', 'Form 1099-MISC', { ...name, y: FORM_TOP + 20 }, centered(10.5, true));
  sheet.text('P', `(${revision.name})`, { ...name, y: FORM_TOP + 34 }, centered(6.5));
  sheet.text('P', 'For calendar year', { ...name, y: FORM_TOP + 50 }, centered(7));
  sheet.text('P', String(input.taxYear), { ...name, y: FORM_TOP + 60 }, centered(13, true));
  const copy = { x: right + 4, width: rightWidth - 8 };
  sheet.text('H1', TITLE, { ...copy, y: FORM_TOP + 24 }, centered(11, true));
  sheet.text('P', `Copy ${input.copy}`, { ...copy, y: rowAt(2) + 8 }, centered(12, true));
  const reader = input.copy === 'B' ? 'For Recipient' : 'For Payer';
  sheet.text('P', reader, { ...copy, y: rowAt(2) + 24 }, centered(9, true));
  const keep = '(keep for your records)';
  sheet.text('P', keep, { ...copy, y: rowAt(2) + 37 }, centered(6.5));
  // The sentence of copy B is required on every recipient statement (IRS Publication 1179).
  const legend =
    input.copy === 'B'
      ? 'This is important tax information and is being furnished to the IRS. If you are required to file a return, a negligence penalty or other sanction may be imposed on you if this income is taxable and the IRS determines that it has not been reported.'
      : "The payer's own copy. Not for filing with the IRS: copy A is filed electronically.";
  sheet.text('P', legend, { ...copy, y: rowAt(3) + 16 }, { sizePt: 7, maxLines: 20 });
}

/** The two checkboxes above the form; the checked one is in bold. */
function drawMarks(sheet: PdfSheet, { status, formId }: Form1099MiscInput): void {
  const y = FORM_TOP - 17;
  let x = sheet.left + LEFT_WIDTH;
  for (const [label, isChecked, width] of [
    ['VOID', status === 'void', BOX_WIDTH],
    ['CORRECTED (if checked)', status === 'corrected', BOX_WIDTH + 60],
  ] as const) {
    drawCheckbox(sheet, x, y, isChecked);
    sheet.text('P', label, { x: x + 14, y, width: width - 14 }, { sizePt: 7.5, bold: isChecked });
    x += width;
  }
  sheet.text('P', formId, { x: sheet.left, y, width: LEFT_WIDTH - 10 }, { sizePt: 7.5, color: COLORS.muted });
}

/** A large pale word across a copy that must not be used. */
function drawWatermark(sheet: PdfSheet, word: string): void {
  const middle = { x: (sheet.left + sheet.right) / 2, y: FORM_TOP + (ROWS * ROW_HEIGHT) / 2 };
  sheet.shape((doc) => {
    doc.font('bold').fontSize(120).fillColor('#b00020').fillOpacity(0.16);
    doc.rotate(-24, { origin: [middle.x, middle.y] });
    doc.text(word, middle.x - doc.widthOfString(word) / 2, middle.y - 70, { lineBreak: false });
  });
}

function drawBelow(sheet: PdfSheet, input: Form1099MiscInput, revision: Revision): void {
  const small: TextStyle = { sizePt: 7 };
  sheet.y = FORM_TOP + ROWS * ROW_HEIGHT + 4;
  const line = { x: sheet.left, y: sheet.y, width: sheet.width };
  sheet.text('P', `Form 1099-MISC (${revision.name})`, line, small);
  sheet.text('P', 'www.irs.gov/Form1099MISC', line, { ...small, align: 'center' });
  const treasury = 'Department of the Treasury - Internal Revenue Service';
  sheet.text('P', treasury, line, { ...small, align: 'right' });
  sheet.y += 12;
  if (input.status === 'draft') {
    const text =
      'Computed, not issued. Do not give it to the recipient and do not file it; it can still change.';
    sheet.notice('DRAFT', text);
  }
  if (input.status === 'void') {
    sheet.notice('VOID', 'This form was issued and then voided. Do not use it on a tax return.');
  }
  if (input.copy === 'C') return;
  sheet.heading('Instructions for Recipient');
  for (const text of [
    "Recipient's taxpayer identification number (TIN). For your protection, this form may show only the last four digits of your TIN. The payer has reported your complete TIN to the IRS.",
    'Box 3. Other income: your payout before the retention fee and before tax withheld. Report it on the "Other income" line of Schedule 1 (Form 1040) and say where it comes from, unless it is business income.',
    'Box 4. Federal income tax withheld: backup withholding. Report it on your income tax return as tax withheld.',
    'Form 1099-MISC incorrect? Ask the payer for a corrected one. If you cannot get it, attach an explanation to your tax return and report your income correctly.',
  ]) {
    sheet.paragraph(text, { sizePt: 8 });
  }
}

/**
 * A 1099-MISC for the recipient (copy B) or the payer (copy C), laid out like the IRS form of its tax year. Copy A is
 * not drawn: it is filed electronically.
 */
export function render1099Misc(input: Form1099MiscInput): Promise<Buffer> {
  const { formId, taxYear, status, issuedAt } = input;
  const revision = revisionFor(taxYear);
  const issued = issuedAt ? ` · issued ${issuedAt.toISOString().slice(0, 10)}` : '';
  return renderPdf(
    (sheet) => {
      drawMarks(sheet, input);
      drawLeftColumn(sheet, input, revision);
      drawRightColumns(sheet, input, revision);
      drawBelow(sheet, input, revision);
      if (status === 'draft' || status === 'void') drawWatermark(sheet, status.toUpperCase());
    },
    {
      title: `Form 1099-MISC ${taxYear}, Copy ${input.copy}`,
      subject: `${TITLE} ${taxYear}, form ${formId}, ${status}`,
      author: input.payer.name,
      reference: formId,
      documentId: `${formId} · tax year ${taxYear} · Copy ${input.copy}${status === 'issued' ? '' : ` · ${status}`}${issued}`,
      // A draft has no date of its own: the last day of its year keeps its bytes the same every time.
      createdAt: issuedAt ?? new Date(Date.UTC(taxYear, 11, 31)),
      hasHeader: false,
      marginPt: 36,
    },
  );
}
