/**
 * No full account number or TIN stands in anything that the service writes, but the instructions and the filing file
 * (specification, sections 8 and 12). Numbers that occur nowhere else go in by every route, and everything that came out
 * is searched for them in the forms in which a number gets about.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPdf } from '../documents/read-pdf.ts';
import { allRoutes } from '../../src/routes.ts';
import type { Caller } from '../support/caller.ts';
import { expectOk, startCast, Stories, type Cast, type Story } from '../support/stories.ts';

const ACCOUNT = '73918264505172';
const SECOND_ACCOUNT = '84629173650283';
const TIN = '731926408';
const SECOND_TIN = '584930617';
const ROUTING = '011401533';
const PLANTED = [ACCOUNT, SECOND_ACCOUNT, TIN, SECOND_TIN];

/** The forms in which a number could stand in a text. */
function formsOf(digits: string): RegExp[] {
  const hex = Buffer.from(digits).toString('hex');
  // Within a longer text base64 falls on one of three alignments; the ends depend on what stands beside.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.from('x'.repeat(shift) + digits).toString('base64url');
    return text.slice(shift === 0 ? 0 : shift + 1, -4);
  });
  return [
    // Plain, or with anything that people put between digits.
    new RegExp([...digits].join('[\\s.,_/\\u00a0\\u2010-\\u2015-]{0,3}')),
    new RegExp(hex, 'i'),
    new RegExp([...hex.matchAll(/../g)].join('[ :]'), 'i'),
    ...base64.map((text) => new RegExp(text.replaceAll('-', '[-+]').replaceAll('_', '[_/]'))),
  ];
}

const FORMS = PLANTED.map((digits) => ({ digits, forms: formsOf(digits) }));

const leaksIn = (name: string, text: string): string[] =>
  FORMS.flatMap(({ digits, forms }) =>
    forms.flatMap((form) => (form.test(text) ? [`${name}: ${digits} as ${form.source}`] : [])),
  );

let cast: Cast;
let stories: Stories;
let story: Story;
/** What was answered, less what is meant to show numbers. */
const answers: { name: string; text: string }[] = [];

const keep = (name: string, body: unknown) => answers.push({ name, text: JSON.stringify(body) ?? '' });

async function posted(who: Caller, path: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await who.post(path, body, headers);
  keep(`POST ${path}`, answer.body);
  return answer;
}

const bank = (accountNumber: string, changes: Record<string, unknown> = {}) => ({
  accountHolderName: story.name,
  routingNumber: ROUTING,
  accountNumber,
  accountType: 'checking',
  ...changes,
});

beforeAll(async () => {
  cast = await startCast();
  stories = new Stories(cast);
  story = await stories.approved();
  const { member, payoutId } = story;
  const bankInfo = `/api/members/${member.userId}/bank-info`;
  const taxInfo = `/api/members/${member.userId}/tax-info`;
  const w9 = (tin: string, changes: Record<string, unknown> = {}) =>
    stories.w9(story.name, { tin, ...changes });

  // The way that numbers are meant to go, with keys that keep the answers, and with every kind of fault.
  for (const key of [{}, { 'idempotency-key': 'bank-1' }] as Record<string, string>[])
    expectOk(await posted(member, bankInfo, bank(ACCOUNT), key));
  await posted(member, bankInfo, bank(SECOND_ACCOUNT), { 'idempotency-key': 'bank-1' });
  expectOk(await posted(member, bankInfo, bank(SECOND_ACCOUNT)));
  for (const changes of [
    { routingNumber: TIN },
    { accountHolderName: '' },
    { accountType: ACCOUNT },
    { [TIN]: 1 },
  ])
    await posted(member, bankInfo, bank(ACCOUNT, changes));
  await posted(cast.finance, bankInfo, bank(ACCOUNT));
  for (const changes of [
    { tinType: 'ein' },
    { llcClassification: 'C' },
    { taxClassification: TIN },
    { legalName: '' },
  ])
    await posted(member, taxInfo, w9(TIN, changes));
  const first = expectOk(await posted(member, taxInfo, w9(TIN), { 'idempotency-key': 'w9-1' })).body.formId;
  expectOk(await posted(cast.finance, `/api/tax-forms/${first}/approve`, {}));
  const second = expectOk(await posted(member, taxInfo, w9('584-93-0617'))).body.formId;
  expectOk(
    await posted(cast.finance, `/api/tax-forms/${second}/reject`, { reason: 'The first one counts.' }),
  );
  for (const body of [`{"tin":"${TIN}"`, `tin=${TIN}`]) {
    const answer = await member.raw(
      'POST',
      taxInfo,
      { authorization: `Bearer ${member.token}`, 'content-type': 'application/json' },
      body,
    );
    keep('a body that is no JSON', answer.body);
  }

  // Paid, come back, paid again, issued, corrected: with what shows numbers on purpose on the way.
  expectOk(
    await posted(cast.finance, `/api/payouts/${payoutId}/generate-instructions`, {
      callbackVerification: 'Called.',
    }),
  );
  const pdf = await cast.finance2.pdf(`/api/payouts/${payoutId}/instructions`);
  expect(readPdf(pdf.content).text).toContain(SECOND_ACCOUNT);
  const reveal = { reason: 'A question of the bank.' };
  expect(
    (await cast.finance.post(`/api/payouts/${payoutId}/bank-info/reveal`, reveal)).body.accountNumber,
  ).toBe(SECOND_ACCOUNT);
  expect((await cast.finance.post(`/api/tax-forms/${first}/reveal`, reveal)).body.tin).toContain('6408');
  const sent = { sentDate: stories.today, expectedArrivalDate: stories.today };
  expectOk(await posted(cast.finance2, `/api/payouts/${payoutId}/mark-sent`, sent));
  expectOk(await posted(cast.finance, `/api/payouts/${payoutId}/confirm`, { completedDate: stories.today }));
  cast.service.time.setTo('2027-01-20T12:00:00Z');
  const issued = expectOk(await posted(cast.finance, '/api/reports/tax-forms/2026', {})).body.data[0].formId;
  expect(String((await cast.finance.get('/api/reports/tax-forms/2026?format=csv')).body)).toContain(
    '731-92-6408',
  );
  for (const copy of ['B', 'C']) await cast.finance.pdf(`/api/tax-forms/${issued}/pdf?copy=${copy}`);
  await member.pdf(`/api/payouts/${payoutId}/receipt`);
  expectOk(
    await posted(cast.finance, `/api/payouts/${payoutId}/fail`, { reason: 'Returned.', returnCode: 'R03' }),
  );
  await posted(member, bankInfo, bank(SECOND_ACCOUNT));
  expectOk(await posted(cast.finance, `/api/tax-forms/${issued}/correct`, { reason: 'It came back.' }));

  // Every route, with the numbers where they do not belong: as unknown fields, parameters and ids.
  const ids: Record<string, string> = {
    id: payoutId,
    userId: member.userId,
    formId: first,
    year: '2026',
    name: 'upkeep',
  };
  for (const { method, path } of allRoutes(cast.service.services, { demo: false })) {
    const address = path.replace(/:(\w+)/g, (_, name: string) => ids[name] ?? 'x');
    const strange = path.replace(/:(\w+)/g, TIN);
    for (const who of [cast.finance, member]) {
      if (method === 'get') {
        keep(address, (await who.get(`${address}?q=${ACCOUNT}&cursor=${TIN}`)).body);
        keep(strange, (await who.get(strange)).body);
      } else {
        await posted(who, address, { [ACCOUNT]: TIN, tin: TIN, accountNumber: ACCOUNT });
        await posted(who, strange, {}, { 'idempotency-key': `${TIN}\u0000`.replace('\u0000', ' ') });
      }
    }
  }
  await cast.service.services.mailDelivery.deliverDue();
  for (const path of [
    'tax-forms',
    'payouts',
    'notifications',
    'admin-alerts',
    'reports/audit-log',
    'jobs',
    'reports/withholding/2026',
    'reports/tax-forms/2026',
  ])
    keep(path, expectOk(await cast.finance.get(`/api/${path}`)).body);
  keep('audit csv', (await cast.finance.get('/api/reports/audit-log?format=csv')).body);
  keep('filing csv of others', (await cast.admin.get('/api/reports/tax-forms/2026?format=csv')).body);
});
afterAll(() => cast.service.stop());

/** Everything in the database as text, a row at a time; binary columns also as what they hold. */
async function databaseTexts(): Promise<{ name: string; text: string }[]> {
  const { sql } = cast.service;
  const tables = await sql<{ name: string }[]>`
    SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema'`;
  const texts: { name: string; text: string }[] = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe<{ text: string }[]>(`SELECT t::text AS text FROM ${name} t`);
    texts.push(...rows.map(({ text }) => ({ name, text })));
  }
  const documents = await sql<{ content: Buffer }[]>`SELECT content FROM tax_form_documents`;
  expect(documents.length).toBeGreaterThanOrEqual(2);
  texts.push(
    ...documents.map(({ content }) => ({ name: 'a kept PDF', text: pdfText(Buffer.from(content)) })),
  );
  return texts;
}

const pdfText = (content: Buffer): string => {
  const { text, runs, source } = readPdf(content);
  return [text, runs.join(''), source].join('\n');
};

const everything = async (): Promise<{ name: string; text: string }[]> => [
  ...cast.service.logLines.map((text) => ({ name: 'log', text })),
  ...cast.service.mailer.sent.map((mail) => ({ name: 'mail', text: JSON.stringify(mail) })),
  ...answers,
  ...(await databaseTexts()),
];

const search = async (): Promise<string[]> =>
  (await everything()).flatMap(({ name, text }) => leaksIn(name, text));

describe('full account numbers and TINs', () => {
  it('stand in no log, mail, answer, table, queue, audit entry or kept PDF', async () => {
    const texts = await everything();
    const names = new Set(texts.map(({ name }) => name));
    for (const name of [
      'log',
      'mail',
      'public.user_audit_logs',
      'public.tax_forms',
      'public.idempotency_keys',
      'a kept PDF',
    ])
      expect(names).toContain(name);
    expect(await search()).toEqual([]);
  });

  it('stand in no other PDF than the instructions', async () => {
    const forms = expectOk(await cast.finance.get(`/api/tax-forms?userId=${story.member.userId}`)).body.data;
    const texts: string[] = [];
    for (const form of forms.filter(({ formType }: { formType: string }) => formType === '1099-MISC'))
      for (const copy of ['B', 'C'])
        texts.push(
          pdfText((await cast.finance.pdf(`/api/tax-forms/${form.formId}/pdf?copy=${copy}`)).content),
        );
    expect(texts).toHaveLength(4);
    expect(texts.flatMap((text) => leaksIn('1099', text))).toEqual([]);
    expect(texts.every((text) => text.includes('XXX-XX-6408'))).toBe(true);
  });

  it.each<[string, (digits: string) => string]>([
    ['plain', (digits) => digits],
    ['digit-spaced', (digits) => [...digits].join(' ')],
    [
      'as it is written by hand',
      (digits) => `${digits.slice(0, 3)}-${digits.slice(3, 5)}-${digits.slice(5)}`,
    ],
    ['hex', (digits) => Buffer.from(digits).toString('hex').toUpperCase()],
    ['base64', (digits) => Buffer.from(digits).toString('base64')],
    ['base64 within a text', (digits) => Buffer.from(`a TIN, ${digits}, in a text`).toString('base64')],
    ['base64 of JSON', (digits) => Buffer.from(JSON.stringify({ tin: digits })).toString('base64url')],
  ])('would be found: they are planted %s', async (_how, write) => {
    const { sql } = cast.service;
    const rows = PLANTED.map((digits) => ({ name: crypto.randomUUID(), value: { note: write(digits) } }));
    await sql`INSERT INTO service_state ${sql(rows.map(({ name, value }) => ({ name, value: sql.json(value) })))}`;
    try {
      const found = (await databaseTexts()).flatMap(({ name, text }) => leaksIn(name, text));
      for (const digits of PLANTED)
        expect(found.some((leak) => leak.startsWith(`public.service_state: ${digits}`))).toBe(true);
    } finally {
      await sql`DELETE FROM service_state WHERE name IN ${sql(rows.map(({ name }) => name))}`;
    }
  });
});
