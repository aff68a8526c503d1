import { printableText, wrapText } from './pdf-text.ts';

export type TextStyle = {
  sizePt?: number;
  bold?: boolean;
  color?: string;
  align?: 'left' | 'center' | 'right';
  /** What does not fit into so many lines ends in an ellipsis. */
  maxLines?: number;
};

/** A place on the page in points from the top left corner. */
export type TextBox = { x: number; y: number; width: number };

export const COLORS = {
  ink: '#17212f',
  muted: '#566273',
  accent: '#14375e',
  rule: '#c8d0da',
  fill: '#eef3f8',
  warning: '#8a3c00',
  warningFill: '#fdf3e4',
};

const BODY_PT = 9.5;
const LABEL_WIDTH = 130;

/** The page under the pen: a cursor from top to bottom, and every text tagged for screen readers. */
export class PdfSheet {
  readonly left: number;
  readonly right: number;
  readonly width: number;
  y: number;
  readonly #bottom: number;
  readonly #doc: PDFKit.PDFDocument;
  #parent: PDFKit.PDFStructureElement;

  constructor(doc: PDFKit.PDFDocument, root: PDFKit.PDFStructureElement) {
    const { width, height, margins } = doc.page;
    this.#doc = doc;
    this.#parent = root;
    this.left = margins.left;
    this.right = width - margins.right;
    this.width = this.right - this.left;
    this.y = margins.top;
    this.#bottom = height - margins.bottom;
  }

  /** Begins a new page when less than `heightPt` is left on this one. */
  ensureSpace(heightPt: number): void {
    if (this.y + heightPt <= this.#bottom) return;
    this.#doc.addPage();
    this.y = this.#doc.page.margins.top;
  }

  /** What `draw` writes becomes children of one structure element, e.g. 'Table', 'TR', 'L', 'LI'. */
  group(role: string, draw: () => void): void {
    const outer = this.#parent;
    const element = this.#doc.struct(role);
    outer.add(element);
    this.#parent = element;
    draw();
    element.end();
    this.#parent = outer;
  }

  /** Lines and fills: artifacts, which a screen reader passes over. */
  shape(draw: (doc: PDFKit.PDFDocument) => void): void {
    this.#doc.markContent('Artifact', { type: 'Layout' });
    draw(this.#doc.save());
    this.#doc.restore().endMarkedContent();
  }

  rule(y: number, color = COLORS.rule): void {
    this.shape((doc) => doc.lineWidth(0.75).moveTo(this.left, y).lineTo(this.right, y).stroke(color));
  }

  /** Writes `text` wrapped into `box`, tagged as `role`, and returns its height; the cursor stays. */
  text(role: string, text: string, box: TextBox, style: TextStyle = {}): number {
    const lines = this.#wrap(text, box.width, style);
    this.#parent.add(this.#doc.struct(role, {}, () => this.#write(lines, box, style)));
    return lines.length * this.#lineHeight(style);
  }

  /** Writes without a tag: headers, footers, marks that repeat what is tagged elsewhere. */
  artifactText(text: string, box: TextBox, style: TextStyle = {}): void {
    const lines = this.#wrap(text, box.width, style);
    this.shape(() => this.#write(lines, box, style));
  }

  heightOf(text: string, width: number, style: TextStyle = {}): number {
    return this.#wrap(text, width, style).length * this.#lineHeight(style);
  }

  /** The amount that the document is about, in the largest type, with two short lines on its right. */
  amountBanner(caption: string, amount: string, side: string, sideNote: string): void {
    const top = this.y;
    const height = 68;
    const half = (this.width - 32) / 2;
    const leftHalf = { x: this.left + 16, width: half };
    const rightHalf = { x: this.left + 16 + half, width: half };
    const small: TextStyle = { sizePt: 8.5, color: COLORS.muted, maxLines: 1 };
    const large: TextStyle = { sizePt: 28, bold: true, color: COLORS.accent, maxLines: 1 };
    this.shape((doc) => doc.roundedRect(this.left, top, this.width, height, 4).fill(COLORS.fill));
    this.text('P', caption, { ...leftHalf, y: top + 11 }, { ...small, bold: true });
    this.text('P', amount, { ...leftHalf, y: top + 23 }, large);
    const sideStyle: TextStyle = { sizePt: 12, bold: true, align: 'right', maxLines: 1 };
    this.text('P', side, { ...rightHalf, y: top + 28 }, sideStyle);
    this.text('P', sideNote, { ...rightHalf, y: top + 45 }, { ...small, align: 'right' });
    this.y = top + height;
  }

  heading(text: string): void {
    this.ensureSpace(60);
    this.y += 12;
    this.y += this.text('H2', text, this.#line(), { sizePt: 11, bold: true, color: COLORS.accent }) + 3;
    this.rule(this.y);
    this.y += 5;
  }

  paragraph(text: string, style: TextStyle = {}): void {
    this.ensureSpace(this.heightOf(text, this.width, style));
    this.y += this.text('P', text, this.#line(), style) + 4;
  }

  /** Two columns, label and value; a list is a block of lines, and a row without a value is left out. */
  keyValues(rows: [label: string, value: string | string[] | undefined, style?: TextStyle][]): void {
    this.group('Table', () => {
      for (const [label, value, style = {}] of rows) {
        if (value === undefined) continue;
        const lines = [value].flat();
        const width = this.width - LABEL_WIDTH;
        const heights = lines.map((line) => this.heightOf(line, width, style));
        this.ensureSpace(heights.reduce((sum, height) => sum + height, 0));
        // Label and value are of different sizes: set lower, the label shares the value's baseline.
        const labelTop = this.y + (this.#lineHeight(style) - this.#lineHeight({})) * 0.8;
        const labelBox = { x: this.left, y: labelTop, width: LABEL_WIDTH - 8 };
        this.group('TR', () => {
          this.text('TH', label, labelBox, { color: COLORS.muted });
          this.group('TD', () => {
            for (const line of lines) {
              this.y += this.text('P', line, { x: this.left + LABEL_WIDTH, y: this.y, width }, style);
            }
          });
        });
        this.y += 4;
      }
    });
  }

  /** Labels on the left, amounts aligned on the right; the total stands under a line, in bold. */
  moneyTable(rows: { label: string; amount: string; isTotal: boolean }[]): void {
    this.ensureSpace(rows.length * 18);
    this.group('Table', () => {
      for (const { label, amount, isTotal } of rows) {
        const style: TextStyle = { bold: isTotal, sizePt: isTotal ? 10.5 : BODY_PT };
        if (isTotal) this.rule(this.y, COLORS.ink);
        const y = this.y + (isTotal ? 5 : 2);
        this.group('TR', () => {
          this.text('TH', label, { x: this.left, y, width: this.width - 150 }, style);
          this.text('TD', amount, { x: this.right - 140, y, width: 140 }, { ...style, align: 'right' });
        });
        this.y = y + this.#lineHeight(style) + 3;
      }
    });
  }

  numberedList(steps: string[]): void {
    this.group('L', () => {
      steps.forEach((step, index) => {
        const width = this.width - 20;
        const height = this.heightOf(step, width);
        this.ensureSpace(height);
        this.group('LI', () => {
          this.text('Lbl', `${index + 1}.`, { x: this.left, y: this.y, width: 16 }, { bold: true });
          this.text('LBody', step, { x: this.left + 20, y: this.y, width });
        });
        this.y += height + 4;
      });
    });
  }

  /** A coloured box for what must not be overlooked. */
  notice(title: string, text: string, style: TextStyle = {}): void {
    const width = this.width - 24;
    const height = this.heightOf(title, width, { bold: true }) + this.heightOf(text, width, style) + 16;
    this.y += 8;
    this.ensureSpace(height);
    const top = this.y;
    this.shape((doc) => {
      doc.rect(this.left, top, this.width, height).fill(COLORS.warningFill);
      doc.rect(this.left, top, 3, height).fill(COLORS.warning);
    });
    const titleStyle: TextStyle = { bold: true, color: COLORS.warning };
    const box = { x: this.left + 14, width };
    const titleHeight = this.text('P', title, { ...box, y: top + 7 }, titleStyle);
    this.text('P', text, { ...box, y: top + 9 + titleHeight }, style);
    this.y = top + height + 4;
  }

  #line(): TextBox {
    return { x: this.left, y: this.y, width: this.width };
  }

  #use({ sizePt = BODY_PT, bold = false }: TextStyle): PDFKit.PDFDocument {
    return this.#doc.font(bold ? 'bold' : 'regular').fontSize(sizePt);
  }

  #lineHeight(style: TextStyle): number {
    return this.#use(style).currentLineHeight() * 1.08;
  }

  #wrap(text: string, width: number, style: TextStyle): string[] {
    const doc = this.#use(style);
    const printable = printableText(text, style.bold ? 'bold' : 'regular') || '—';
    return wrapText(printable, style.maxLines ?? 8, (line) => doc.widthOfString(line) <= width);
  }

  #write(lines: string[], { x, y, width }: TextBox, style: TextStyle): void {
    const lineHeight = this.#lineHeight(style);
    const share = { left: 0, center: 0.5, right: 1 }[style.align ?? 'left'];
    const doc = this.#use(style).fillColor(style.color ?? COLORS.ink);
    lines.forEach((line, index) => {
      // PDFKit lays out word by word, left to right; a line of right-to-left words is laid out whole instead.
      const features = /^[\p{Script=Arabic}\p{Script=Hebrew}\s]+$/u.test(line) ? { features: [] } : {};
      const indent = share === 0 ? 0 : (width - doc.widthOfString(line)) * share;
      doc.text(line, x + indent, y + index * lineHeight, { lineBreak: false, ...features });
    });
  }
}
