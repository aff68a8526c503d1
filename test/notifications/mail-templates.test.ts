import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { plainValue, renderMail, TEMPLATE_NAMES } from '../../src/notifications/mail-templates.ts';
import type { MailModels, TemplateName } from '../../src/notifications/mail-templates.ts';
import { sampleModels } from '../support/sample-mails.ts';

const render = <N extends TemplateName>(name: N, changes: Partial<MailModels[N]> = {}) =>
  renderMail(name, { ...sampleModels[name], ...changes } as MailModels[N]);

const isLink = (field: string): boolean => field === 'link';
const values = (name: TemplateName): [string, string][] => Object.entries<string>(sampleModels[name]);
/** Every value of the template, links aside, replaced by the same one. */
const filledWith = (name: TemplateName, value: string) =>
  render(
    name,
    Object.fromEntries(values(name).map(([field, was]) => [field, isLink(field) ? was : value])) as never,
  );

/** Which tags, in their order: what a value must not be able to change. */
const tags = (html: string): string[] => html.match(/<[^>]*>/g) ?? [];

/** Entities back to the characters that a reader sees. */
const seen = (html: string): string =>
  html.replace(/&(?:#x([0-9A-F]+)|lt|gt|quot|amp);/gi, (entity, code: string | undefined) =>
    code
      ? String.fromCodePoint(Number.parseInt(code, 16))
      : ({ '&lt;': '<', '&gt;': '>', '&quot;': '"', '&amp;': '&' }[entity] ?? entity),
  );

describe.each(TEMPLATE_NAMES)('%s', (name) => {
  it('says all that it is given, in HTML and in text', () => {
    const { html, text } = render(name);
    for (const [, value] of values(name)) {
      expect(seen(html)).toContain(value);
      expect(text).toContain(value);
    }
  });

  it('has a subject, a greeting, no leftover template marks and nothing remote', () => {
    const { subject, html, text } = render(name);
    expect(subject).toMatch(/^\S.{8,100}$/);
    for (const form of [subject, html, text]) expect(form).not.toMatch(/\{\{|\}\}|undefined|\(empty\)/);
    expect(text).toMatch(/^Payout Service\n\nHello \S/);
    expect(text).not.toMatch(/\n{3}|&(?:#|amp|lt|quot)|<\w/);
    expect(html).toContain(`<title>${subject.replace(/&/g, '&amp;')}</title>`);
    expect(html).not.toMatch(/<img|<script|<link|@import|\bsrc=|url\(/i);
    expect(html).toContain('prefers-color-scheme: dark');
  });

  it('escapes markup, and takes no value for a template', () => {
    const hostile = `"><script>alert(1)</script>{{constructor}}{{{recipientName}}}{{> layout}}' onclick='`;
    const { subject, html, text } = filledWith(name, hostile);
    expect(tags(html)).toEqual(tags(filledWith(name, 'Maria').html));
    expect(html).not.toContain('<script');
    expect(seen(html)).toContain('<script>alert(1)</script>{{constructor}}{{{recipientName}}}{{> layout}}');
    expect(text).toContain(hostile);
    expect(subject).not.toContain('&lt;');
  });

  it('keeps each value on its line, and its direction', () => {
    const breaks = '\r\nBcc: eve@example.com\u2028x\u0085y\v\0\u202E\u2066\u200Fz\uFEFF\u00AD';
    const { subject, html, text } = filledWith(name, `A${breaks}`);
    const plain = filledWith(name, 'A');
    expect(text.split('\n')).toHaveLength(plain.text.split('\n').length);
    expect(text).toContain('A Bcc: eve@example.com x y z');
    for (const form of [subject, html, text]) {
      expect(form).not.toMatch(/[\r\0\v\u0085\u2028\u202E\u2066\u200F\uFEFF\u00AD]/);
    }
    expect(subject).not.toContain('\n');
  });

  it('cuts long values, and the subject', () => {
    const { subject, html, text } = filledWith(name, '\u{1F600}'.repeat(10_000));
    expect(Array.from(subject).length).toBeLessThanOrEqual(150);
    const runs = [...html.matchAll(/(?:\u{1F600})+…?/gu), ...text.matchAll(/(?:\u{1F600})+…?/gu)];
    expect(runs.length).toBeGreaterThan(1);
    const lengths = runs.map(([run]) => Array.from(run).length);
    expect(lengths.filter((length) => length > 200 && length !== 1000)).toEqual([]);
    expect(text).toContain(`${'\u{1F600}'.repeat(199)}…`);
  });

  it('asks for every value that it needs', () => {
    const optional = ['trackingNumber', 'withheldAmount'];
    const optionalHere: Partial<Record<TemplateName, string>> = {
      'payment-failed': 'link',
      'removal-notice': 'link',
      'dead-letter': 'payoutId',
    };
    for (const [field] of values(name)) {
      if (
        field === 'recipientName' ||
        (field === 'payoutId' && !render(name).text.includes('PO-2026-7Q2K9M4X'))
      )
        continue;
      const without = () => render(name, { [field]: undefined } as never);
      if (optional.includes(field) || optionalHere[name] === field) {
        expect(without().text).not.toMatch(/undefined|\(empty\)/);
        expect(without().text).not.toBe(render(name).text);
      } else {
        expect(without).toThrow(`The message ${name} needs ${field}`);
      }
    }
  });
});

describe('templates', () => {
  it('has a folder for each name, and no other', () => {
    const folders = readdirSync(new URL('../../templates/', import.meta.url));
    expect(folders.sort()).toEqual([...TEMPLATE_NAMES, 'partials'].sort());
  });

  it('links to web addresses only, uncut', () => {
    const long = `https://members.example.com/payout?token=${'a'.repeat(1000)}&next=%22`;
    expect(render('winner', { link: long }).text).toContain(`${long}\n`);
    for (const link of [
      'javascript:alert(1)',
      'data:text/html,x',
      '/payout',
      'https://a@example.com/',
      'x',
      '',
    ]) {
      expect(() => render('winner', { link })).toThrow('web address');
    }
    expect(() => render('winner', { link: `https://example.com/${'a'.repeat(2000)}` })).toThrow(
      'web address',
    );
    const quoted = render('winner', { link: 'https://example.com/"onclick=\'x\r\n<b>' });
    expect(tags(quoted.html)).toHaveLength(tags(render('winner').html).length);
    expect(quoted.html).not.toContain('"onclick');
    expect(quoted.text).toContain("https://example.com/%22onclick='x%3Cb%3E\n");
  });

  it('tells members what we never ask for, and staff why they are told', () => {
    const never = 'We never ask for a password';
    expect(render('payment-sent').text).toContain(never);
    expect(render('payment-sent').html).toContain(never);
    expect(render('approval-wanted').text).not.toContain(never);
    expect(render('approval-wanted').text).toContain('you are on the staff');
  });

  it('explains withholding only where there was some', () => {
    const none = render('payment-confirmed', { withheldAmount: undefined });
    expect(none.text).toContain('Backup withholding: none');
    expect(none.text).not.toContain('What backup withholding is');
    expect(none.html).not.toContain('What backup withholding is');
    expect(render('payment-confirmed').text).toContain('Backup withholding: -$24,000.00');
    expect(render('payment-confirmed').html).toContain('What backup withholding is');
    expect(none.text).toContain('From every payout we keep $300.00.');
  });

  it('leaves a reason whole that staff may give', () => {
    const reason = 'The name on line 1 is not yours. '.repeat(30).trim();
    for (const name of ['tax-form-rejected', 'manual-review'] as const) {
      expect(render(name, { reason }).text).toContain(reason);
      expect(render(name, { reason }).html).toContain(reason);
    }
    expect(render('staff-notice', { details: reason }).text).toContain(reason);
  });

  it('shows the last four digits of a number that somebody typed into a reason', () => {
    const reason =
      'SSN 123-45-6789, EIN 12-3456789, account 000123456789, or 1234567, 12 345 678, 4000-1234-5678, 1234-56-78-9012; ' +
      'code R03, check 1042; sent 2026-11-20, in 2026-11, at 2026-11-22T12:00:00.000Z, PO-2026-12345678, PO-2026-7Q2K9M4X, ' +
      '12345678-1234-4123-8123-123456789012, $1,299,700.00.';
    const { html, text } = render('manual-review', { reason });
    for (const form of [html, text]) {
      expect(form).toContain(
        'SSN ****6789, EIN ****6789, account ****6789, or ****4567, ****5678, ****5678, ****9012; ' +
          'code R03, check 1042; sent 2026-11-20, in 2026-11, at 2026-11-22T12:00:00.000Z, PO-2026-12345678, PO-2026-7Q2K9M4X, ' +
          '12345678-1234-4123-8123-123456789012, $1,299,700.00.',
      );
    }
  });

  it('says days and instants in words', () => {
    const { text } = render('payment-sent', { sentDate: '2026-03-09', expectedArrivalDate: '2026-13-45' });
    expect(text).toContain('March 9, 2026');
    expect(text).toContain('2026-13-45');
    expect(render('critical-failure', { occurredAt: '2026-03-03T14:05:59.123Z' }).text).toContain(
      'March 3, 2026, 14:05 UTC',
    );
  });

  it('greets someone whose name says nothing', () => {
    expect(render('winner', { recipientName: ' \u202E\r\n' }).text).toContain('Hello there,');
    expect(render('approval-wanted', { payeeName: '\u200B' }).text).toContain('Payee: (empty)');
  });
});

describe('plainValue', () => {
  it.each([
    ['Zoë Müller', 'Zoë Müller'],
    ['  a \t b ', 'a b'],
    ['\uD800x', '\uFFFDx'],
    ['नमस्ते\u200Dक', 'नमस्ते\u200Dक'],
    [`e${'\u0316'.repeat(500)}`, `e${'\u0316'.repeat(4)}`],
  ])('%j becomes %j', (value, expected) => {
    expect(plainValue(value)).toBe(expected);
  });
});
