/** Runs sequences of commands against the model and the real service at once, and compares the two after each step. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Answer } from '../support/caller.ts';
import { Caller } from '../support/caller.ts';
import { TEST_NOW, TestTime } from '../support/fakes.ts';
import { invariantFaults } from '../support/invariants.ts';
import { startTestService, type TestService, type TestServiceOptions } from '../support/test-service.ts';
import { settle, type Sequence } from './commands.ts';
import {
  PayoutModel,
  REFUSALS,
  STAFF_ACTIONS,
  type ModelPayout,
  type NameKind,
  type Person,
  type PayoutAction,
  type Refusal,
  type Step,
} from './payout-model.ts';

const DAY_MS = 86_400_000;
const NOBODY = 'PO-2026-00000000';
const ROUTING_NUMBER = '021000021';
const AUTH_SECRET = 'auth-secret-for-tests-0123456789abcdef';
const WATCHERS: readonly Person[] = [
  'viewer',
  'payee',
  'admin',
  'finance',
  'payee',
  'admin2',
  'finance2',
  'payee',
  'otherMember',
];

/** What was reached, for the figures. */
export class Coverage {
  sequences = 0;
  steps = 0;
  readonly moves = new Map<string, number>();
  readonly refusals = new Map<string, number>();

  count(counts: Map<string, number>, name: string): void {
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
}

/** The service did what the model does not allow. */
class Divergence extends Error {}

interface Lane {
  service: TestService;
  staff: Record<Exclude<Person, 'payee'>, Caller>;
}

/** The invariants look at all that is in the database, so not after every sequence. */
const CHECK_EVERY = 10;

/** Instances on one database, each with a clock of its own, so that sequences can run side by side. */
export class ModelWorld {
  readonly #lanes: Lane[];
  readonly coverage: Coverage;
  #members = 0;
  /** What was done since the invariants were last seen to hold. */
  readonly #stories: string[] = [];

  private constructor(lanes: Lane[], coverage: Coverage) {
    this.#lanes = lanes;
    this.coverage = coverage;
  }

  static async start(options: {
    lanes: number;
    cluster?: TestServiceOptions['cluster'];
    coverage?: Coverage;
  }): Promise<ModelWorld> {
    const first = await startTestService({ time: new TestTime(), cluster: options.cluster });
    await first.fund(10_000);
    const people = {
      admin: await first.newStaff('admin'),
      admin2: await first.newStaff('admin', 'admin2'),
      finance: await first.newStaff('finance_manager', 'finance'),
      finance2: await first.newStaff('finance_manager', 'finance2'),
      viewer: await first.newStaff('viewer'),
      otherMember: await first.newMember({ subscription: null }),
    };
    const services = [first];
    while (services.length < options.lanes)
      services.push(
        await startTestService({ beside: first, time: new TestTime(), cluster: options.cluster }),
      );
    const lanes = services.map((service) => ({
      service,
      staff: {
        admin: at(people.admin, service),
        admin2: at(people.admin2, service),
        finance: at(people.finance, service),
        finance2: at(people.finance2, service),
        viewer: at(people.viewer, service),
        otherMember: at(people.otherMember, service),
      },
    }));
    return new ModelWorld(lanes, options.coverage ?? new Coverage());
  }

  /** Throws where an invariant does not hold, whichever of the sequences since the last look broke it. */
  async checkInvariants(): Promise<void> {
    const stories = this.#stories.splice(0);
    const faults = await invariantFaults(this.#lanes[0]!.service.sql);
    if (faults.length === 0) return;
    throw new Divergence([`Invariants broken:`, ...faults, 'What was done:', ...stories].join('\n'));
  }

  async stop(): Promise<void> {
    for (const { service } of this.#lanes.toReversed()) await service.stop();
  }

  /** Throws where service and model part ways, or where an invariant is seen not to hold. */
  async run(lane: number, sequence: Sequence): Promise<void> {
    const { service, staff } = this.#lanes[lane]!;
    service.time.setTo(TEST_NOW.toISOString());
    service.logLines.length = 0;
    const payee = await this.#newPayee(service, sequence);
    const run = new Run(service, { ...staff, payee: payee.caller }, payee.lastName, sequence);
    try {
      for (const command of sequence.commands) {
        const step = settle(command, run.model, sequence.method);
        if (step) await run.take(step, this.coverage);
      }
      await run.compareAll();
    } catch (error) {
      throw new Error(run.told(error), { cause: error });
    }
    for (const move of run.model.moves) this.coverage.count(this.coverage.moves, move);
    this.coverage.sequences += 1;
    await retire(service, payee.caller.userId);
    if (this.#stories.push(run.story) >= CHECK_EVERY) await this.checkInvariants();
  }

  /** A member whom the main app has signed in: the session is in the table, the token bears its signature. */
  async #newPayee(
    { sql, url, time }: TestService,
    sequence: Sequence,
  ): Promise<{ caller: Caller; lastName: string }> {
    this.#members += 1;
    const lastName = `Albright${letters(this.#members)}`;
    const [userId, token] = [randomUUID(), randomBytes(16).toString('hex')];
    const email = `payee-${userId}@example.com`;
    const firstPayment = new Date(time.now().getTime() - 400 * DAY_MS);
    await sql.begin(async (tx) => {
      await tx`INSERT INTO users (id, email, name, first_name, last_name)
        VALUES (${userId}, ${email}, ${`Ada ${lastName}`}, 'Ada', ${lastName})`;
      await tx`INSERT INTO sessions (user_id, token, expires_at)
        VALUES (${userId}, ${token}, now() + interval '6 days')`;
      await tx`INSERT INTO user_payments (user_id, amount, status, created_at)
        SELECT ${userId}, 100, 'succeeded', ${firstPayment}::timestamptz + n * interval '30 days'
          FROM generate_series(0, 11) n`;
      await tx`INSERT INTO user_subscriptions (user_id, status) VALUES (${userId}, 'active')`;
      await tx`INSERT INTO kyc_verification (user_id, status, legal_name, verified_at)
        VALUES (${userId}, 'verified', ${`Ada ${lastName}`}, ${firstPayment})`;
      if (sequence.payeeRole !== 'member')
        await tx`INSERT INTO admin_users (user_id, role) VALUES (${userId}, ${sequence.payeeRole})`;
    });
    if (sequence.hasAddress) await insertAddress(sql, userId, '1 Main Street');
    const signature = createHmac('sha256', AUTH_SECRET).update(token).digest('base64');
    return { caller: new Caller(url, { token: `${token}.${signature}`, userId, email }), lastName };
  }
}

/** One sequence under way. */
class Run {
  readonly model: PayoutModel;
  readonly #service: TestService;
  readonly #callers: Record<Person, Caller>;
  readonly #lastName: string;
  readonly #sequence: Sequence;
  /** Beside the model's payouts and forms, what the service calls them. */
  readonly #payoutIds: string[] = [];
  readonly #versions: number[] = [];
  readonly #formIds: string[] = [];
  readonly #story: string[] = [];
  /** The payout was changed, and its version not looked at since. */
  #isVersionDue = false;

  constructor(service: TestService, callers: Record<Person, Caller>, lastName: string, sequence: Sequence) {
    this.#service = service;
    this.#callers = callers;
    this.#lastName = lastName;
    this.#sequence = sequence;
    this.model = new PayoutModel({
      payeeRole: sequence.payeeRole,
      nowMs: service.time.now().getTime(),
      address: sequence.hasAddress ? '1 Main Street' : null,
    });
  }

  get story(): string {
    const { payeeRole, method, hasAddress } = this.#sequence;
    return [
      `${this.#payoutIds.join(', ') || 'No payout'}: the payee is a ${payeeRole}, wants ${method}, ${hasAddress ? 'with' : 'without'} an address.`,
      ...this.#story.map((line, index) => `${index + 1}. ${line}`),
    ].join('\n');
  }

  told(error: unknown): string {
    return [
      error instanceof Error ? error.message : String(error),
      this.story,
      ...(error instanceof Divergence ? [] : ['Last log lines:', ...this.#service.logLines.slice(-5)]),
    ].join('\n');
  }

  async take(step: Step, coverage: Coverage): Promise<void> {
    coverage.steps += 1;
    // No two payouts of a member are made at the same instant.
    if (step.do === 'initiate') await this.#do(this.#pass(1 / 3600));
    const prediction = this.model.predict(step);
    const index = this.#story.push(JSON.stringify(step));
    const answer = await this.#do(step);
    let changed = false;
    if (!answer || answer.status < 300) {
      const sure = prediction.refusals.filter((refusal) => refusal.certain).map(({ code }) => code);
      if (sure.length > 0) throw new Divergence(`Done, but the model refuses: ${sure.join(' or ')}.`);
      changed = prediction.apply();
      if (answer) this.#learn(step, answer);
    } else {
      const code = answer.body?.error?.code as Refusal | undefined;
      this.#story[index - 1] += ` → ${answer.status} ${code}`;
      const refusal = prediction.refusals.find((one) => one.code === code);
      if (!refusal || answer.status !== REFUSALS[refusal.code]) {
        const codes = prediction.refusals.map((one) => one.code).join(' or ') || 'that it is done';
        throw new Divergence(
          `${answer.status} ${JSON.stringify(answer.body)}, but the model expects ${codes}.`,
        );
      }
      coverage.count(coverage.refusals, refusal.code);
      refusal.effect?.();
      changed = refusal.effect !== undefined;
    }
    this.#story[index - 1] += ` (${this.model.payout?.status ?? 'no payout'})`;
    await this.#compare(index, changed, 'by' in step && answer ? { by: step.by, answer } : undefined);
  }

  #pass(hours: number): Step {
    const step: Step = { do: 'clock', hours };
    this.model.predict(step).apply();
    return step;
  }

  /** What only the service knows: the ids that it gave. */
  #learn(step: Step, { body }: Answer): void {
    if (step.do === 'initiate') {
      this.#payoutIds.push(body.data[0].payoutId);
      this.#versions.push(0);
    }
    if (step.do === 'tax-info') this.#formIds.push(body.formId);
    if (step.do === 'generate-instructions') {
      const payout = this.model.payout!;
      const { net, withheld } = this.model.amountsOf(payout);
      const { amount, attempt, paymentMethod, calculation } = body;
      this.#same(
        'instructions',
        [amount, attempt, paymentMethod, calculation.taxWithholding],
        [net / 100, payout.attempts.length, payout.method, withheld / 100],
      );
    }
  }

  /** At the end: what was rejected or cancelled earlier is as it was then. */
  async compareAll(): Promise<void> {
    for (const [place, payout] of this.model.payouts.entries()) {
      const { body } = await this.#callers.viewer.get(`/api/payouts/${this.#payoutIds[place]}`);
      if (payout === this.model.payout) this.#compareView('viewer', payout, body);
      else {
        this.#sameFields(`payout ${place + 1}`, seen(body, true), this.#expected('viewer', payout, true));
        this.#same(`version of payout ${place + 1}`, body.version, this.#versions[place]);
      }
    }
  }

  async #do(step: Step): Promise<Answer | undefined> {
    const { sql, time } = this.#service;
    const { userId } = this.#callers.payee;
    switch (step.do) {
      case 'kyc':
        await sql`UPDATE kyc_verification SET status = ${step.verified ? 'verified' : 'rejected'},
          legal_name = ${this.#nameOf(step.name)} WHERE user_id = ${userId}`;
        return undefined;
      case 'address':
        await sql`DELETE FROM user_addresses WHERE user_id = ${userId}`;
        if (step.line1 !== null) await insertAddress(sql, userId, step.line1);
        return undefined;
      case 'clock':
        time.setTo(new Date(time.now().getTime() + step.hours * 3_600_000).toISOString());
        return undefined;
      case 'bank-info':
      case 'tax-info':
        return this.#callers[step.by].post(`/api/members/${userId}/${step.do}`, this.#bodyOf(step));
      case 'review-w9': {
        const index = this.model.reviewed(step.form);
        const formId = (index === undefined ? undefined : this.#formIds[index]) ?? 'W9-2026-00000000';
        return step.approve
          ? this.#callers[step.by].post(`/api/tax-forms/${formId}/approve`)
          : this.#callers[step.by].post(`/api/tax-forms/${formId}/reject`, { reason: 'Illegible.' });
      }
      case 'initiate':
        return this.#callers[step.by].post('/api/payouts/initiate', this.#bodyOf(step));
      case 'unknown':
        return this.#callers[step.by].post(
          `/api/payouts/${NOBODY}/${step.action}`,
          this.#unknownBody(step.action),
        );
      default:
        return this.#callers[step.by].post(
          `/api/payouts/${this.#payoutIds.at(-1) ?? NOBODY}/${step.do}`,
          this.#bodyOf(step),
        );
    }
  }

  #bodyOf(step: Extract<Step, { by: Person }>): Record<string, unknown> {
    switch (step.do) {
      case 'initiate':
        return {
          userIds: [this.#callers.payee.userId],
          paymentMethod: step.method,
          overrideReason: 'The model chose them.',
        };
      case 'approve': {
        const seen = this.#versions.at(-1) ?? 1;
        const versions = { current: seen, stale: seen > 1 ? seen - 1 : seen + 7, future: seen + 1 };
        return step.version === 'none' ? {} : { version: versions[step.version] };
      }
      case 'notes':
      case 'resume':
        return { note: 'Looked at it.' };
      case 'reject':
      case 'hold':
      case 'cancel':
        return { reason: 'There is a reason.' };
      case 'bank-info':
        return {
          accountHolderName: this.#nameOf(step.holder),
          routingNumber: ROUTING_NUMBER,
          accountNumber: accountNumber(step.account),
          accountType: 'checking',
        };
      case 'tax-info':
        return {
          legalName: this.#nameOf(step.name),
          taxClassification: 'individual',
          address: { line1: '1 Main Street', city: 'Springfield', state: 'IL', postalCode: '62701' },
          tinType: 'ssn',
          tin: '123-45-6789',
          certification: {
            signedName: this.#nameOf(step.name),
            signedDate: isoDay(this.model.today),
            notSubjectToBackupWithholding: !step.crossedOut,
          },
        };
      case 'generate-instructions':
        return {
          ...(step.method === 'unsaid' ? {} : { paymentMethod: step.method }),
          ...(step.withhold === 'no' ? {} : { applyBackupWithholding: true }),
          ...(step.withhold === 'yes' ? { reason: 'Reminded twice.' } : {}),
          ...(step.callback ? { callbackVerification: 'Called the number on file.' } : {}),
        };
      case 'mark-sent': {
        const sent = this.model.today + step.sentInDays;
        return { sentDate: isoDay(sent), expectedArrivalDate: isoDay(sent + step.arrivesAfterDays) };
      }
      case 'confirm':
        return { completedDate: isoDay(this.model.today + step.completedInDays) };
      case 'fail':
        return {
          reason: 'It did not arrive.',
          ...(step.returnCode === 'none' ? {} : { returnCode: step.returnCode }),
          ...(step.stopped ? { stopPaymentReference: 'STOP-1' } : {}),
        };
      case 'review-w9':
      case 'unknown':
        return {};
    }
  }

  #unknownBody(action: PayoutAction): Record<string, unknown> {
    const step = {
      do: action,
      by: 'admin',
      sentInDays: 0,
      arrivesAfterDays: 0,
      completedInDays: 0,
    } as unknown;
    if (action === 'approve' || action === 'generate-instructions') return {};
    if (action === 'fail') return { reason: 'It did not arrive.' };
    return this.#bodyOf(step as Extract<Step, { by: Person }>);
  }

  /** What the command answered, and what one person sees afterwards, each in turn. */
  async #compare(
    index: number,
    changed: boolean,
    done: { by: Person; answer: Answer } | undefined,
  ): Promise<void> {
    const { payout } = this.model;
    const payoutId = this.#payoutIds.at(-1);
    if (!payout || !payoutId) return;
    const watcher = WATCHERS[index % WATCHERS.length]!;
    const answer = await this.#callers[watcher].get(`/api/payouts/${payoutId}`);
    const sees = this.model.isVisibleTo(watcher, payout);
    this.#same(`what ${watcher} gets`, answer.status, sees ? 200 : 404);
    this.#isVersionDue ||= changed;
    const answered = done && payoutIn(done.answer, payoutId);
    if (answered) this.#compareView(done.by, payout, answered);
    if (sees) this.#compareView(watcher, payout, answer.body);
    if (!this.#isVersionDue) return;
    const { body } = await this.#callers.viewer.get(`/api/payouts/${payoutId}`);
    this.#compareView('viewer', payout, body);
  }

  #compareView(person: Person, payout: ModelPayout, view: Answer['body']): void {
    const isStaff = this.model.roleOf(person) !== 'member';
    this.#sameFields(`what ${person} sees`, seen(view, isStaff), this.#expected(person, payout, isStaff));
    if (!isStaff) this.#assertDiscreet(view);
    this.#compareVersion(view.version);
  }

  /** It grows with every change, and with nothing else. */
  #compareVersion(version: number): void {
    const before = this.#versions.at(-1) ?? 0;
    const changed = this.#isVersionDue;
    if (changed ? version <= before : version !== before)
      throw new Divergence(`The version went from ${before} to ${version}; changed: ${changed}.`);
    this.#versions[this.#versions.length - 1] = version;
    this.#isVersionDue = false;
  }

  #assertDiscreet(body: Record<string, unknown>): void {
    const told =
      ['internalNotes', 'auditTrail', 'approvalWorkflow', 'eligibilityCheck', 'initiatedBy', 'holdReason'] // prettier-ignore
        .filter((field) => field in body);
    if (told.length > 0 || JSON.stringify(body).includes('adminId'))
      throw new Divergence(`A member is told ${told.join(', ') || 'an adminId'}.`);
  }

  #expected(person: Person, payout: ModelPayout, isStaff: boolean): Record<string, unknown> {
    const { gross, fee, withheld, net } = this.model.amountsOf(payout);
    const actions: PayoutAction[] = [
      ...(isStaff ? STAFF_ACTIONS : []),
      ...(person === 'payee' ? (['bank-info', 'tax-info'] as const) : []),
    ];
    const removal = payout.completedDay === null ? null : twelveMonthsAfter(payout.completedDay);
    return {
      status: payout.status,
      amounts: [gross, fee, withheld, net].map((cents) => cents / 100),
      afterWithholding: withheld > 0 ? (gross - withheld) / 100 : null,
      processing: [gross, fee, withheld, net].map((cents) => cents / 100),
      method: payout.method,
      bank: payout.bank && [`****${accountNumber(payout.bank.account).slice(-4)}`, this.#nameOf(payout.bank.holder)], // prettier-ignore
      hasReceipt: payout.status === 'completed',
      removal,
      allowed: Object.fromEntries(
        actions.map((action) => [action, this.model.allows(person, action, payout)]),
      ),
      ...(isStaff
        ? {
            workflow: payout.decisions.map(({ by, round, decision }) => [this.#adminId(by), round, decision]),
            requiredApprovals: 2,
            initiatedBy: this.#adminId(payout.initiatedBy),
            heldFrom: payout.heldFrom,
            notes: payout.notes,
            trail: payout.trail,
          }
        : {}),
    };
  }

  #adminId(person: Person): number {
    return this.#callers[person].adminId;
  }

  #nameOf(kind: NameKind): string {
    const names: Record<NameKind, string> = {
      own: `Ada ${this.#lastName}`,
      variant: `${this.#lastName.toUpperCase()}, Áda`,
      stranger: 'Bob Stranger',
      stranger2: 'Carl Another',
    };
    return names[kind];
  }

  #same(what: string, actual: unknown, expected: unknown): void {
    if (isDeepStrictEqual(actual, expected)) return;
    const [service, model] = [actual, expected].map((side) => JSON.stringify(side));
    throw new Divergence(`${what}: the service says ${service}, the model ${model}.`);
  }

  #sameFields(what: string, actual: Record<string, unknown>, expected: Record<string, unknown>): void {
    for (const field of new Set([...Object.keys(actual), ...Object.keys(expected)]))
      this.#same(`${field} in ${what}`, actual[field], expected[field]);
  }
}

/** The payout that a command answers with; undefined where it does not. */
function payoutIn({ status, body }: Answer, payoutId: string): Answer['body'] {
  if (status >= 300) return undefined;
  const view = Array.isArray(body.data) ? body.data[0] : body;
  return view.payoutId === payoutId && 'allowedActions' in view ? view : undefined;
}

/** What an answer says, in the model's terms. */
function seen(body: Answer['body'], isStaff: boolean): Record<string, unknown> {
  const { processing, taxWithholding, bankDetails } = body;
  return {
    status: body.status,
    amounts: [body.amount, body.retentionFee, taxWithholding?.withheldAmount ?? 0, body.netAmount],
    afterWithholding: taxWithholding?.netPayoutAmount ?? null,
    processing: [
      processing.gross_amount,
      processing.retention_fee,
      processing.tax_withholding,
      processing.net_amount,
    ],
    method: body.paymentMethod,
    bank: bankDetails && [bankDetails.accountNumber, bankDetails.accountHolderName],
    hasReceipt: body.receiptUrl !== null,
    removal: body.membershipRemovalDate,
    allowed: Object.fromEntries(
      body.allowedActions
        .filter(({ action }: { action: string }) => action !== 'instructions')
        .map(({ action, allowed }: { action: string; allowed: boolean }) => [action, allowed]),
    ),
    ...(isStaff
      ? {
          workflow: body.approvalWorkflow.map((entry: Record<string, unknown>) => [
            entry['adminId'],
            entry['round'],
            entry['decision'],
          ]),
          requiredApprovals: body.requiredApprovals,
          initiatedBy: body.initiatedBy,
          heldFrom: body.heldFrom,
          notes: body.internalNotes.length,
          trail: body.auditTrail.flatMap(
            ({ details }: { details: { status?: string } }) => details.status ?? [],
          ),
        }
      : {}),
  };
}

/** The queue is read at every initiation: whoever is done leaves it, and the staff. */
async function retire({ sql }: TestService, userId: string): Promise<void> {
  await sql`DELETE FROM user_payments WHERE user_id = ${userId}`;
  await sql`UPDATE admin_users SET is_active = false WHERE user_id = ${userId}`;
}

const at = (caller: Caller, { url }: TestService): Caller =>
  new Caller(url, {
    token: caller.token,
    email: caller.email,
    userId: caller.userId,
    adminId: caller.adminId,
  });

const insertAddress = (sql: TestService['sql'], userId: string, line1: string) =>
  sql`INSERT INTO user_addresses (user_id, line1, city, state, postal_code, is_primary)
    VALUES (${userId}, ${line1}, 'Springfield', 'IL', '62701', true)`;

const accountNumber = (account: number): string => `00012345678${account}`;
const isoDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

function twelveMonthsAfter(day: number): string {
  const date = new Date(day * DAY_MS);
  date.setUTCFullYear(date.getUTCFullYear() + 1);
  return date.toISOString();
}

/** Names without digits, so that they are names. */
const letters = (number: number): string =>
  String(number).replace(/\d/g, (digit) => 'abcdefghij'[Number(digit)] ?? '');
