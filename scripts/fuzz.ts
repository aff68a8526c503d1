/**
 * `npm run fuzz [-- requests [seed]]`: valid, nearly valid and hostile requests as every kind of caller, made from the
 * service's own OpenAPI document and held against it, on a throw-away database. Ends with an error at any answer that
 * should not be, a broken invariant, a broken audit log, or a secret in the log. Stopped before its end it tells what it
 * found so far.
 */
import { randomInt } from 'node:crypto';
import { SignJWT } from 'jose';
import { Fuzzer, type FuzzCaller, type Json } from '../test/support/fuzzer.ts';
import { TEST_NOW } from '../test/support/fakes.ts';
import { invariantFaults } from '../test/support/invariants.ts';
import { startCast, Stories, type Story } from '../test/support/stories.ts';
import type { Caller } from '../test/support/caller.ts';
import { withThrowawayServer } from './throwaway-server.ts';

const wanted = Number(process.argv[2] ?? 100_000);
const seed = Number(process.argv[3] ?? randomInt(1, 2_147_483_646));
let state = seed;
const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
const JWT_SECRET = 'jwt-secret-for-tests-0123456789abcdef';

await withThrowawayServer(async (cluster) => {
  const cast = await startCast({
    cluster,
    demo: true,
    funded: 200,
    env: { STEP_UP_MINUTES: '0', STAFF_IDLE_MINUTES: '1440' },
  });
  const { service } = cast;
  try {
    const stories = new Stories(cast);
    // Of a year that is over, so that there are 1099s to issue.
    service.time.setTo('2025-12-01T12:00:00Z');
    const paidLastYear = [await stories.completed(), await stories.completed()];
    service.time.setTo(TEST_NOW.toISOString());
    const told: Story[] = [
      await stories.initiated(), await stories.approved(), await stories.withBank(), await stories.payable(),
      await stories.ready(), await stories.sent(), await stories.completed(), ...paidLastYear,
    ]; // prettier-ignore
    const free = await Promise.all(Array.from({ length: 6 }, () => service.newMember()));
    const document = (await service.stranger.get('/openapi.json')).body as Json;
    const rows = async (query: string): Promise<string[]> => (await service.sql.unsafe<{ id: string }[]>(query)).map(({ id }) => id);
    const fuzzer = new Fuzzer({
      url: service.url,
      document,
      callers: await callersOf(told),
      known: {
        'id payouts': [...told.map(({ payoutId }) => payoutId), 'PO-2026-ZZZZZZZZ'],
        'id notifications': await rows('SELECT id::text FROM notifications LIMIT 5'),
        'id admin-alerts': await rows('SELECT id::text FROM admin_alerts LIMIT 5'),
        userId: [...told.map(({ member }) => member.userId), cast.viewer.userId],
        userIds: [...free, ...told.map(({ member }) => member)].map(({ userId }) => userId),
        formId: [...(await rows('SELECT form_id AS id FROM tax_forms')), 'W9-2026-ZZZZZZZZ'],
        payoutId: told.map(({ payoutId }) => payoutId),
        year: ['2025', '2026', '2027', '1999'],
        name: ['eligibility-check', 'audit-verification', 'membership-removal', 'no-such-job'],
        format: ['json', 'csv'],
        limit: ['1', '50', '200', '201'],
        status: ['approved', 'completed', 'sent', 'submitted'],
        from: ['2026-01-01', '2026-11-20T12:00:00Z'],
        to: ['2026-12-31'],
        sentDate: ['2026-11-20'], expectedArrivalDate: ['2026-11-20', '2026-11-24'], completedDate: ['2026-11-20'],
        signedDate: ['2026-11-20'], paymentDate: ['2026-11-01'],
        routingNumber: ['021000021', '123456789'], accountNumber: ['000555666777', '1'], accountType: ['checking', 'savings'],
        accountHolderName: told.map(({ name }) => name), legalName: told.map(({ name }) => name),
        exemptPayeeCode: ['1', '5', '14'], fatcaExemptionCode: ['A', 'Z'],
        token: [...(await linkTokens()), 'x.y.z'],
        signedName: told.map(({ name }) => name), tin: ['123-45-6789', '987654321'], tinType: ['ssn', 'ein'],
        // Little, as other values are of these days.
        advance: ['PT0S', 'PT1S', 'PT1M', '-P1D', 'P60Y', 'P12'],
        state: ['IL', 'ZZ'], postalCode: ['62701'], returnCode: ['R01', 'R02', 'R99'],
        text: ['A reason.', 'x', 'Grüße, 你好'],
      },
      secrets: [JWT_SECRET, 'auth-secret-for-tests', Buffer.alloc(32, 7).toString('base64'), 'scrypt', ...sessionTokens(told)],
      numbers: ['000123456789', '123-45-6789', '123456789'],
      random,
    }); // prettier-ignore
    const startedAt = Date.now();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => fuzzer.stop());
    const sent = await fuzzer.run(wanted);
    const seconds = Math.round((Date.now() - startedAt) / 1000);
    fuzzer.close();
    const invariants = await invariantFaults(service.sql);
    const audit = await service.services.audit.verify();
    const leaks = service.logLines.filter((line) => /000123456789|123-45-6789|scrypt|Bearer /.test(line));
    const statuses = [...fuzzer.statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`);
    console.log(`${sent} requests in ${seconds} s, seed ${seed}. ${statuses.join(', ')}.`);
    console.log(`${fuzzer.reached.size} of ${fuzzer.operations.length} operations were done at least once.`);
    console.log(`Never done: ${fuzzer.operations.filter((name) => !fuzzer.reached.has(name)).join(', ') || 'none'}.`);
    console.log(`Invariants broken: ${invariants.length}. Audit log whole: ${audit.valid}, ${audit.entries} entries. Leaks in the log: ${leaks.length}.`);
    for (const fault of [...new Set(fuzzer.faults), ...invariants, ...leaks.slice(0, 5)]) console.log(`FAULT ${fault}`);
    console.log(`Faults: ${fuzzer.faults.length}.`);
    if (fuzzer.faults.length + invariants.length + leaks.length > 0 || audit.valid !== true || sent < wanted) process.exitCode = 1;
  } finally {
    await service.stop();
  } // prettier-ignore

  /** Of the links in the mails so far. */
  async function linkTokens(): Promise<string[]> {
    await service.services.mailDelivery.deliverDue();
    return service.mailer.sent.flatMap(({ text }) => /[?&#]token=([\w.-]+)/.exec(text)?.[1] ?? []).slice(-30);
  }

  function sessionTokens(told: readonly Story[]): string[] {
    const people = [
      cast.admin,
      cast.admin2,
      cast.finance,
      cast.finance2,
      cast.viewer,
      ...told.map(({ member }) => member),
    ];
    return people.map(({ token }) => token.split('.')[0] ?? token);
  }

  async function callersOf(told: readonly Story[]): Promise<FuzzCaller[]> {
    const staff = (name: string, role: FuzzCaller['role'], { token }: Caller): FuzzCaller => ({
      name,
      role,
      token,
      foreign: [],
    });
    const members = told.map(({ member }, index): FuzzCaller => ({
      name: `member ${index}`,
      role: 'member',
      token: member.token,
      own: { userId: member.userId, 'id payouts': told[index]?.payoutId ?? '' },
      foreign: told
        .filter((other) => other.member !== member)
        .flatMap((other) => [other.member.userId, other.member.email, other.payoutId]),
    }));
    const machine = async (name: string, scope: string, audience = 'payout-service'): Promise<FuzzCaller> => ({
      name,
      role: audience === 'payout-service' ? 'machine' : 'nobody',
      scopes: scope.split(' '),
      foreign: [],
      token: await new SignJWT({ scope }).setProtectedHeader({ alg: 'HS256' }).setSubject('fuzz').setAudience(audience)
        .setIssuedAt().sign(new TextEncoder().encode(JWT_SECRET)),
    }); // prettier-ignore
    return [
      staff('admin', 'admin', cast.admin), staff('admin2', 'admin', cast.admin2), staff('viewer', 'viewer', cast.viewer),
      staff('finance', 'finance_manager', cast.finance), staff('finance2', 'finance_manager', cast.finance2), ...members,
      await machine('machine', 'membership:reactivate'), await machine('machine of another scope', 'payouts:read'),
      await machine('machine of another audience', 'membership:reactivate', 'payout-link'),
      { name: 'stranger', role: 'nobody', token: undefined, foreign: [] },
      { name: 'forger', role: 'nobody', token: `${cast.admin.token.split('.')[0]}.AAAA`, foreign: [] },
    ]; // prettier-ignore
  }
});
