/** Rules of Form W-9 (Rev. March 2024) and its instructions. */

export const TAX_CLASSIFICATIONS = [
  'individual',
  'c_corporation',
  's_corporation',
  'partnership',
  'trust_estate',
  'llc',
  'other',
] as const;
export type TaxClassification = (typeof TAX_CLASSIFICATIONS)[number];
export const TIN_TYPES = ['ssn', 'ein', 'itin'] as const;
export type TinType = (typeof TIN_TYPES)[number];
export const LLC_CLASSIFICATIONS = ['C', 'S', 'P'] as const;

/** The certification that a payee signs today goes by this version. */
export const CERTIFICATION_VERSION = 'W-9 Rev. March 2024';

/** What was signed, by version: Form W-9, part II. A version that was ever signed is never changed or taken away. */
export const CERTIFICATION_TEXTS: Readonly<Record<string, readonly string[]>> = {
  'W-9 Rev. March 2024': [
    'Under penalties of perjury, I certify that:',
    '1. The number shown on this form is my correct taxpayer identification number (or I am waiting for a number to be issued to me); and',
    '2. I am not subject to backup withholding because (a) I am exempt from backup withholding, or (b) I have not been notified by the Internal Revenue Service (IRS) that I am subject to backup withholding as a result of a failure to report all interest or dividends, or (c) the IRS has notified me that I am no longer subject to backup withholding; and',
    '3. I am a U.S. citizen or other U.S. person (defined below); and',
    '4. The FATCA code(s) entered on this form (if any) indicating that I am exempt from FATCA reporting is correct.',
  ],
};

/** EIN prefixes that the IRS has not assigned. */
const UNUSED_EIN_PREFIXES = new Set([
  '00',
  '07',
  '08',
  '09',
  '17',
  '18',
  '19',
  '28',
  '29',
  '49',
  '69',
  '70',
  '78',
  '79',
  '89',
  '96',
  '97',
]);

/** Nine digits, from what people type: dashes and spaces are left out. Null when it is not nine digits. */
export function tinDigits(text: string): string | null {
  const digits = text.replace(/[\s-]/g, '');
  return /^\d{9}$/.test(digits) ? digits : null;
}

/** Is it built as a TIN of its type is (SSA and IRS numbering rules)? It does not say that it was ever issued. */
export function isTin(type: TinType, digits: string): boolean {
  const [area, group, serial] = [digits.slice(0, 3), digits.slice(3, 5), digits.slice(5)];
  switch (type) {
    case 'ssn':
      return area !== '000' && area !== '666' && !area.startsWith('9') && group !== '00' && serial !== '0000';
    case 'itin': {
      const middle = Number(group);
      const assigned =
        (middle >= 50 && middle <= 65) || (middle >= 70 && middle <= 88) || (middle >= 90 && middle !== 93);
      return area.startsWith('9') && assigned;
    }
    case 'ein':
      return !UNUSED_EIN_PREFIXES.has(digits.slice(0, 2));
  }
}

export interface W9Shape {
  taxClassification: TaxClassification;
  llcClassification?: string | undefined;
  exemptPayeeCode?: string | undefined;
  fatcaExemptionCode?: string | undefined;
  tinType: TinType;
  tin: string;
}

/** Faults between the fields of a form, each with the field it is about. */
export function w9Faults(form: W9Shape): { path: string; message: string }[] {
  const digits = tinDigits(form.tin);
  const individual = form.taxClassification === 'individual';
  const fault = (wrong: boolean, path: string, message: string) => (wrong ? [{ path, message }] : []);
  return [
    ...fault(digits === null, 'tin', 'must be nine digits'),
    ...fault(
      digits !== null && !isTin(form.tinType, digits),
      'tin',
      `is not a valid ${form.tinType.toUpperCase()}`,
    ),
    // An LLC that is taxed as its owner ticks the owner's box; one that ticks its own is a corporation or partnership.
    ...fault(
      !individual && !['other', 'trust_estate'].includes(form.taxClassification) && form.tinType !== 'ein',
      'tinType',
      'must be ein for this classification',
    ),
    ...fault(
      form.taxClassification === 'llc' && form.llcClassification === undefined,
      'llcClassification',
      'must be C, S or P for an LLC',
    ),
    ...fault(
      form.taxClassification !== 'llc' && form.llcClassification !== undefined,
      'llcClassification',
      'is for an LLC only',
    ),
    // Line 4: "codes apply only to certain entities, not individuals".
    ...fault(individual && form.exemptPayeeCode !== undefined, 'exemptPayeeCode', 'is not for individuals'),
    ...fault(
      individual && form.fatcaExemptionCode !== undefined,
      'fatcaExemptionCode',
      'is not for individuals',
    ),
  ];
}

/** `XXX-XX-1234`, or `XX-XXX1234` for an EIN: as a recipient's copy shows it (Treas. Reg. 301.6109-4). */
export const truncatedTin = (type: TinType, last4: string): string =>
  type === 'ein' ? `XX-XXX${last4}` : `XXX-XX-${last4}`;

/** A TIN as it is written in full. */
export const formattedTin = (type: TinType, digits: string): string =>
  type === 'ein'
    ? `${digits.slice(0, 2)}-${digits.slice(2)}`
    : `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`;
