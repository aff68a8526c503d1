/** Renders the messages of `templates/`: subject, HTML and text, from values that may be hostile. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Handlebars from 'handlebars';

/** `words`: what somebody has written, up to a paragraph. */
type Kind = 'text' | 'text?' | 'words' | 'link' | 'link?';

/** What each message to a member says; all have `recipientName` besides. A `?` marks what may be left out. */
const MEMBER_MAILS = {
  winner: { payoutId: 'text', grossAmount: 'text', retentionFee: 'text', link: 'link' },
  'bank-info-wanted': { payoutId: 'text', link: 'link' },
  'address-wanted': { payoutId: 'text', link: 'link' },
  'tax-info-wanted': { payoutId: 'text', link: 'link' },
  'bank-details-changed': {
    payoutId: 'text',
    changedAt: 'text',
    accountLastFour: 'text',
    link: 'link',
  },
  'payment-sent': {
    payoutId: 'text',
    netAmount: 'text',
    paymentMethod: 'text',
    sentDate: 'text',
    expectedArrivalDate: 'text',
    trackingNumber: 'text?',
    link: 'link',
  },
  /** `withheldAmount` is left out when nothing was withheld; its explanation goes with it. */
  'payment-confirmed': {
    payoutId: 'text',
    grossAmount: 'text',
    retentionFee: 'text',
    withheldAmount: 'text?',
    netAmount: 'text',
    completedDate: 'text',
    link: 'link',
  },
  /** `reason` and `nextStep` are whole sentences in plain words. */
  'payment-failed': {
    payoutId: 'text',
    netAmount: 'text',
    reason: 'words',
    nextStep: 'words',
    link: 'link?',
  },
  'removal-notice': { removalDate: 'text', link: 'link?' },
  'membership-removed': { removedDate: 'text', link: 'link' },
  'tax-form-rejected': { payoutId: 'text', reason: 'words', link: 'link' },
  'form-1099-ready': { taxYear: 'text', link: 'link' },
} as const satisfies Record<string, Record<string, Kind>>;

/** The same for staff. */
const STAFF_MAILS = {
  'payouts-available': { totalRevenue: 'text', availableSlots: 'text', checkedAt: 'text', link: 'link' },
  /** Several ids or names stand in one value, separated by commas. */
  'payouts-created': { payoutIds: 'text', winnerNames: 'text', initiatedBy: 'text', link: 'link' },
  'approval-wanted': {
    payoutId: 'text',
    payeeName: 'text',
    grossAmount: 'text',
    initiatedBy: 'text',
    link: 'link',
  },
  'approval-reminder': {
    payoutId: 'text',
    payeeName: 'text',
    grossAmount: 'text',
    waitingSince: 'text',
    link: 'link',
  },
  'w9-to-review': { payoutId: 'text', memberName: 'text', submittedAt: 'text', link: 'link' },
  'payment-delayed': {
    payoutId: 'text',
    payeeName: 'text',
    netAmount: 'text',
    sentDate: 'text',
    expectedArrivalDate: 'text',
    link: 'link',
  },
  'manual-review': { payoutId: 'text', payeeName: 'text', reason: 'words', link: 'link' },
  'dead-letter': {
    messageName: 'text',
    recipient: 'text',
    payoutId: 'text?',
    attempts: 'text',
    reason: 'words',
    link: 'link',
  },
  'staff-notice': { title: 'text', occurredAt: 'text', details: 'words', link: 'link' },
  'critical-failure': { title: 'text', occurredAt: 'text', details: 'words', link: 'link' },
} as const satisfies Record<string, Record<string, Kind>>;

const MAILS = { ...MEMBER_MAILS, ...STAFF_MAILS };

export type TemplateName = keyof typeof MAILS;
export const isForStaff = (name: TemplateName): boolean => name in STAFF_MAILS;
export const TEMPLATE_NAMES = Object.keys(MAILS) as [TemplateName, ...TemplateName[]];

type Flat<T> = { [K in keyof T]: T[K] };
type Model<F> = Flat<
  { recipientName: string } & { [K in keyof F as F[K] extends `${string}?` ? never : K]: string } & {
    [K in keyof F as F[K] extends `${string}?` ? K : never]?: string;
  }
>;

/** The values that each template wants: text already formatted ('$99,700.00'), links as absolute http(s) URLs. */
export type MailModels = { [N in TemplateName]: Model<(typeof MAILS)[N]> };

export interface RenderedMail {
  subject: string;
  html: string;
  text: string;
}

export const SERVICE_NAME = 'Payout Service';
const MAX_VALUE_CHARACTERS = 200;
/** As long as a reason may be that staff give. */
const MAX_WORDS_CHARACTERS = 1000;
const MAX_SUBJECT_CHARACTERS = 150;
const MAX_LINK_CHARACTERS = 2000;

/**
 * The value on one line, cut to 200 characters unless said, without control, bidi and invisible characters: a name must not
 * start a line or a header of its own, nor make the words around it read differently.
 */
export function plainValue(value: string, maxCharacters = MAX_VALUE_CHARACTERS): string {
  const characters = Array.from(
    value
      .slice(0, 20 * maxCharacters)
      .normalize('NFC')
      // Joiners stay: Persian, Indic scripts and emoji are written with them.
      .replace(/(?![\u200C\u200D])[\p{Default_Ignorable_Code_Point}\uFFF9-\uFFFB]/gu, '')
      .replace(/[\s\p{Cc}\u2028\u2029]+/gu, ' ')
      .replace(/\p{Cs}/gu, '\uFFFD')
      // No script stacks more marks on one letter; a tower of them would cover the lines above.
      .replace(/(\p{M}{4})\p{M}+/gu, '$1')
      .trim(),
  );
  if (characters.length <= maxCharacters) return characters.join('');
  return `${characters.slice(0, maxCharacters - 1).join('')}…`;
}

/** Links are not cut, as a token in them would break; what is no plain web address is a defect of the caller. */
function safeLink(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (!url || !web || url.username !== '' || url.href.length > MAX_LINK_CHARACTERS) {
    throw new Error('A link in a message must be a web address of at most 2,000 characters');
  }
  return url.href;
}

/**
 * What may be a TIN or an account number in words that somebody typed, as mail is no place for one: six digits or more, alone or
 * grouped by blanks or hyphens. Ids, days and times are none, and sums of money are written with commas.
 */
const NUMBERS = new RegExp(
  [
    '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
    '(?:PO|W9|1099)-\\d{4}-[0-9A-HJKMNP-TV-Z]{8}',
    '\\d{4}-\\d{2}(?:-\\d{2}(?:T[\\d:.]+Z)?)?(?![ -]?\\d)',
    '(\\d(?:[ -]?\\d){5,})',
  ]
    .map((form) => `\\b${form}(?!\\w)`)
    .join('|'),
  'g',
);
const withoutNumbers = (value: string): string =>
  value.replace(NUMBERS, (whole, number?: string) =>
    number === undefined ? whole : `****${number.replace(/\D/g, '').slice(-4)}`,
  );

const ISO_TIME = /^(\d{4}-\d{2}-\d{2})(T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z)?$/;
const DAY = new Intl.DateTimeFormat('en-US', { dateStyle: 'long', timeZone: 'UTC' });

/** A whole ISO 8601 day or instant in words: 'March 3, 2026', 'March 3, 2026, 14:05 UTC'. Anything else as it is. */
function readable(value: string): string {
  const [, day, time] = ISO_TIME.exec(value) ?? [];
  const at = new Date(value);
  if (day === undefined || Number.isNaN(at.getTime())) return value;
  return time === undefined ? DAY.format(at) : `${DAY.format(at)}, ${value.slice(11, 16)} UTC`;
}

/** Takes the fields that the template knows and no others; `strict` then finds every one it asks for. */
function safeValues(name: TemplateName, model: Record<string, string | undefined>): Record<string, string> {
  const values: Record<string, string> = {
    recipientName: plainValue(model['recipientName'] ?? '') || 'there',
  };
  for (const [field, kind] of Object.entries<Kind>(MAILS[name])) {
    const value = model[field];
    const optional = kind.endsWith('?');
    if (value === undefined && !optional) throw new Error(`The message ${name} needs ${field}`);
    if (value === undefined || (value === '' && optional)) values[field] = '';
    else if (kind.startsWith('link')) values[field] = safeLink(value);
    else {
      const text = kind === 'words' ? withoutNumbers(value) : readable(value);
      values[field] = plainValue(text, kind === 'words' ? MAX_WORDS_CHARACTERS : undefined) || '(empty)';
    }
  }
  return values;
}

const folder = new URL('../../templates/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8');

/** An environment of its own for each form, so that a text partial can never end up unescaped in HTML. */
function environment(form: 'html' | 'text'): typeof Handlebars {
  const handlebars = Handlebars.create();
  for (const file of readdirSync(fileURLToPath(new URL(`partials/${form}/`, folder)))) {
    handlebars.registerPartial(file.replace(/\.hbs$/, ''), read(`partials/${form}/${file}`));
  }
  return handlebars;
}

type Render = (values: object) => string;
let environments: Record<'html' | 'text', typeof Handlebars> | undefined;
const compiled = new Map<TemplateName, Record<'subject' | 'html' | 'text', Render>>();

function templates(name: TemplateName): Record<'subject' | 'html' | 'text', Render> {
  const known = compiled.get(name);
  if (known) return known;
  const { html, text } = (environments ??= { html: environment('html'), text: environment('text') });
  // Known helpers only: a value is never taken for a helper's name.
  const options = { strict: true, knownHelpersOnly: true };
  const made = {
    subject: text.compile(read(`${name}/subject.hbs`), { ...options, noEscape: true }),
    html: html.compile(read(`${name}/html.hbs`), options),
    text: text.compile(read(`${name}/text.hbs`), { ...options, noEscape: true }),
  };
  compiled.set(name, made);
  return made;
}

/** The message with its values filled in. Throws on a missing value or a link that is no web address. */
export function renderMail<N extends TemplateName>(name: N, model: MailModels[N]): RenderedMail {
  const values = safeValues(name, model);
  const { subject, html, text } = templates(name);
  const line = plainValue(subject(values), MAX_SUBJECT_CHARACTERS);
  const context = { ...values, subject: line, serviceName: SERVICE_NAME, staff: isForStaff(name) };
  return {
    subject: line,
    html: html(context),
    text: `${text(context)
      .replace(/\n{3,}/g, '\n\n')
      .trim()}\n`,
  };
}
