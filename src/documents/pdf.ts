import PDFDocument from 'pdfkit';
import { COLORS, PdfSheet, type TextStyle } from './pdf-sheet.ts';
import { fonts } from './pdf-text.ts';

/** What the file says about itself; `createdAt` is passed in, so that the same input gives the same bytes. */
export type PdfMeta = {
  title: string;
  subject: string;
  author: string;
  /** Stands in the header beside the title, e.g. 'PO-2026-7Q4K9D2M'. */
  reference: string;
  /** Stands in every page's footer. */
  documentId: string;
  createdAt: Date;
  /** False leaves the first page's header to the document, as an IRS form has its own. */
  hasHeader?: boolean;
  marginPt?: number;
};

function drawFurniture(doc: PDFKit.PDFDocument, sheet: PdfSheet, meta: PdfMeta): void {
  const { count } = doc.bufferedPageRange();
  const small: TextStyle = { sizePt: 7.5, color: COLORS.muted, maxLines: 1 };
  for (let page = 0; page < count; page += 1) {
    doc.switchToPage(page);
    const y = doc.page.height - 34;
    const box = { x: sheet.left, y, width: sheet.width - 90 };
    sheet.rule(y - 6);
    sheet.artifactText(meta.documentId, box, small);
    const numberBox = { x: sheet.right - 90, y, width: 90 };
    sheet.artifactText(`Page ${page + 1} of ${count}`, numberBox, { ...small, align: 'right' });
    if (page > 0) sheet.artifactText(`${meta.title} · ${meta.reference}`, { ...box, y: 26 }, small);
  }
}

/**
 * Renders a tagged, US-Letter PDF with header, footer and page numbers. It takes some 30 ms of this thread: the service
 * asks DocumentRenderer, which has threads for it.
 */
export function renderPdf(draw: (sheet: PdfSheet) => void, meta: PdfMeta): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const margin = meta.marginPt ?? 50;
    const doc = new PDFDocument({
      size: 'LETTER',
      margins: { top: margin, bottom: 50, left: margin, right: margin },
      pdfVersion: '1.7',
      tagged: true,
      lang: 'en-US',
      displayTitle: true,
      bufferPages: true,
      font: '', // no built-in font: they mangle what is outside Latin-1
      info: { Title: meta.title, Author: meta.author, Subject: meta.subject, CreationDate: meta.createdAt },
    });
    const chunks: Buffer[] = [];
    doc.on('data', (chunk: Buffer) => chunks.push(chunk));
    doc.on('error', reject);
    doc.on('end', () => resolve(Buffer.concat(chunks)));
    // The types of PDFKit 0.20 do not know yet that it takes a parsed font.
    for (const [name, font] of Object.entries(fonts())) doc.registerFont(name, font as unknown as Buffer);

    const root = doc.struct('Document');
    doc.addStructure(root);
    const sheet = new PdfSheet(doc, root);
    if (meta.hasHeader !== false) {
      const { left, right, y, width } = sheet;
      const half = { y, width: width / 2 };
      sheet.text('H1', meta.title, { ...half, x: left }, { sizePt: 18, bold: true, color: COLORS.accent });
      const reference: TextStyle = { sizePt: 11, bold: true, align: 'right' };
      sheet.text('P', meta.reference, { ...half, y: y + 6, x: right - half.width }, reference);
      sheet.y += 30;
      sheet.rule(sheet.y, COLORS.accent);
      sheet.y += 12;
    }
    draw(sheet);
    root.end();
    drawFurniture(doc, sheet, meta);
    doc.end();
  });
}
