import type { Form1099MiscInput } from './form-1099-document.ts';
import type { PaymentInstructionsInput } from './payment-instructions-document.ts';
import type { ReceiptInput } from './receipt-document.ts';

/** A document to be drawn: what goes to the thread that draws it. */
export type DocumentOrder =
  | { kind: 'receipt'; input: ReceiptInput }
  | { kind: 'instructions'; input: PaymentInstructionsInput }
  | { kind: '1099-MISC'; input: Form1099MiscInput };

/** What comes back: first that the thread is ready, then for each order the document or why there is none. */
export type ThreadAnswer = 'ready' | { pdf: Uint8Array<ArrayBuffer> } | { error: Error };
