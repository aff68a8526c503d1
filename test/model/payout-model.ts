/**
 * What the specification says of a payout's life (sections 2, 3, 4, 8), told once more and independently: nothing here
 * is imported from `src`. Where the specification leaves the order of refusals open, the model names all that apply
 * and lets the service choose; where it leaves open whether to refuse, the refusal is not `certain`.
 */

export type Role = 'admin' | 'finance_manager' | 'viewer' | 'member';
export type Method = 'ach' | 'check';
export type Person = 'admin' | 'admin2' | 'finance' | 'finance2' | 'viewer' | 'payee' | 'otherMember';

export type Status =
  | 'pending_approval'
  | 'approved'
  | 'pending_bank_info'
  | 'pending_tax_info'
  | 'ready_for_payment'
  | 'payment_sent'
  | 'completed'
  | 'payment_failed'
  | 'rejected'
  | 'cancelled'
  | 'requires_manual_review';

/** The refusals that the lifecycle can answer with, and their status by section 11. */
export const REFUSALS = {
  VALIDATION_ERROR: 400,
  FORBIDDEN: 403,
  SEPARATION_OF_DUTIES: 403,
  NOT_FOUND: 404,
  INVALID_STATE: 409,
  STALE_VERSION: 409,
  INSTRUCTIONS_STALE: 409,
  INVALID_WINNER: 422,
  BANK_INFO_MISSING: 422,
  BANK_DETAILS_REFUSED: 422,
  ADDRESS_MISSING: 422,
  W9_MISSING: 422,
  WITHHOLDING_NOT_DUE: 422,
  COOLOFF_ACTIVE: 422,
  KYC_NOT_VERIFIED: 422,
  NAME_MISMATCH: 422,
  FAILURE_NOT_PROVEN: 422,
} as const;
export type Refusal = keyof typeof REFUSALS;

/** Section 3's table, row by row; the model makes no other move. */
export const MOVES = [
  'new > pending_approval',
  'pending_approval > approved',
  'pending_approval > rejected',
  'approved > pending_bank_info',
  'approved > pending_tax_info',
  'pending_bank_info > pending_tax_info',
  'pending_bank_info > approved',
  'pending_tax_info > approved',
  'approved > ready_for_payment',
  'pending_bank_info > ready_for_payment',
  'pending_tax_info > ready_for_payment',
  'payment_failed > ready_for_payment',
  'ready_for_payment > approved',
  'ready_for_payment > pending_bank_info',
  'ready_for_payment > pending_tax_info',
  'ready_for_payment > payment_sent',
  'payment_sent > completed',
  'ready_for_payment > payment_failed',
  'payment_sent > payment_failed',
  'completed > payment_failed',
  'payment_failed > pending_bank_info',
  'pending_approval > requires_manual_review',
  'approved > requires_manual_review',
  'pending_bank_info > requires_manual_review',
  'pending_tax_info > requires_manual_review',
  'ready_for_payment > requires_manual_review',
  'payment_failed > requires_manual_review',
  'requires_manual_review > pending_approval',
  'requires_manual_review > approved',
  'requires_manual_review > pending_bank_info',
  'requires_manual_review > pending_tax_info',
  'requires_manual_review > payment_failed',
  'pending_approval > cancelled',
  'approved > cancelled',
  'pending_bank_info > cancelled',
  'pending_tax_info > cancelled',
  'ready_for_payment > cancelled',
  'payment_failed > cancelled',
  'requires_manual_review > cancelled',
] as const;
export type Move = (typeof MOVES)[number];

/** `own` and `variant` are one person's name in two spellings; the others are other people's. */
export type NameKind = 'own' | 'variant' | 'stranger' | 'stranger2';

/** What somebody does. `by` is settled before the model sees it. */
export type Step =
  | { do: 'initiate'; by: Person; method: Method }
  | { do: 'approve'; by: Person; version: 'none' | 'current' | 'stale' | 'future' }
  | { do: 'reject' | 'hold' | 'resume' | 'cancel' | 'notes'; by: Person }
  | { do: 'bank-info'; by: Person; account: number; holder: NameKind }
  | { do: 'tax-info'; by: Person; name: NameKind; crossedOut: boolean }
  | { do: 'review-w9'; by: Person; approve: boolean; form: 'newest' | 'oldest' | 'unknown' }
  | {
      do: 'generate-instructions';
      by: Person;
      method: Method | 'unsaid';
      withhold: 'no' | 'yes' | 'without-reason';
      callback: boolean;
    }
  | { do: 'mark-sent'; by: Person; sentInDays: number; arrivesAfterDays: number }
  | { do: 'confirm'; by: Person; completedInDays: number }
  | { do: 'fail'; by: Person; returnCode: 'none' | 'R01' | 'R03'; stopped: boolean }
  | { do: 'kyc'; verified: boolean; name: NameKind }
  | { do: 'address'; line1: string | null }
  | { do: 'clock'; hours: number }
  /** Somebody acts on a payout that does not exist. */
  | { do: 'unknown'; by: Person; action: PayoutAction };

export const STAFF_ACTIONS = [
  'approve',
  'reject',
  'generate-instructions',
  'mark-sent',
  'confirm',
  'fail',
  'hold',
  'resume',
  'cancel',
  'notes',
] as const;
export type StaffAction = (typeof STAFF_ACTIONS)[number];
export type PayoutAction = StaffAction | 'bank-info' | 'tax-info';

interface Attempt {
  status: 'ready' | 'sent' | 'completed' | 'failed' | 'voided';
  method: Method;
  generatedBy: Person;
  generatedDay: number;
  sentDay: number;
  account: number | null;
  /** What marking sent compares: all of it, and what the specification leaves open for an ACH payment. */
  frozen: string;
  frozenAddress: string | null;
}

interface W9 {
  name: NameKind;
  crossedOut: boolean;
  status: 'submitted' | 'approved' | 'rejected' | 'superseded';
}

export interface ModelPayout {
  status: Status;
  method: Method;
  initiatedBy: Person;
  round: number;
  decisions: { by: Person; round: number; decision: 'approved' | 'rejected' }[];
  wasApproved: boolean;
  bank: { account: number; holder: NameKind } | null;
  bankTimesGiven: number;
  bankChangedAtMs: number | null;
  withheldCents: number;
  attempts: Attempt[];
  lastFailureBy: Person | null;
  heldFrom: Status | null;
  /** The names compared when it was held for a mismatch. */
  heldForNames: { compared: string; pairs: string[] } | null;
  acceptedLast: { compared: string; pairs: string[] } | null;
  acceptedEver: string[];
  notes: number;
  completedDay: number | null;
  /** Every status it ever took, in order. */
  trail: Status[];
}

export interface RefusalCase {
  code: Refusal;
  /** False where the specification leaves it open. */
  certain: boolean;
  /** What the refusal itself changes. */
  effect?: () => void;
}

export interface Prediction {
  refusals: RefusalCase[];
  /** What success does. False when it leaves the payout as it was, version and all. */
  apply: () => boolean;
}

const GROSS_CENTS = 10_000_000;
const FEE_CENTS = 30_000;
const WITHHELD_CENTS = 2_400_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const COOLOFF_MS = 72 * HOUR_MS;

const DECIDERS: readonly Role[] = ['admin', 'finance_manager'];
const MAY: Record<StaffAction, readonly Role[]> = {
  approve: DECIDERS,
  reject: DECIDERS,
  'generate-instructions': DECIDERS,
  'mark-sent': DECIDERS,
  confirm: DECIDERS,
  fail: DECIDERS,
  hold: DECIDERS,
  resume: DECIDERS,
  notes: DECIDERS,
  cancel: ['admin'],
};

const BEFORE_PAYMENT: readonly Status[] = ['approved', 'pending_bank_info', 'pending_tax_info'];
const HOLDABLE: readonly Status[] = [
  'pending_approval',
  ...BEFORE_PAYMENT,
  'ready_for_payment',
  'payment_failed',
];
const FROM: Record<PayoutAction, readonly Status[] | 'any'> = {
  approve: ['pending_approval'],
  reject: ['pending_approval'],
  'generate-instructions': [...BEFORE_PAYMENT, 'payment_failed'],
  'mark-sent': ['ready_for_payment'],
  confirm: ['payment_sent'],
  fail: ['ready_for_payment', 'payment_sent', 'completed'],
  hold: HOLDABLE,
  resume: ['requires_manual_review'],
  cancel: [...HOLDABLE, 'requires_manual_review'],
  notes: 'any',
  'bank-info': [...BEFORE_PAYMENT, 'ready_for_payment', 'payment_failed'],
  'tax-info': 'any',
};
const RELEASED: readonly Status[] = ['rejected', 'cancelled'];
/** Returns that say that there is something wrong with the account itself. */
const ACCOUNT_CODES: readonly string[] = ['R02', 'R03', 'R04', 'R13', 'R16', 'R20'];

const samePerson = (name: NameKind): NameKind => (name === 'variant' ? 'own' : name);
const certain = (code: Refusal, when: boolean, effect?: () => void): RefusalCase[] =>
  when ? [{ code, certain: true, ...(effect ? { effect } : {}) }] : [];
const open = (code: Refusal, when: boolean): RefusalCase[] => (when ? [{ code, certain: false }] : []);

/** One member, and the payouts that they were given, of which only the newest can be live. */
export class PayoutModel {
  readonly payouts: ModelPayout[] = [];
  readonly moves: Move[] = [];
  readonly payeeRole: Role;
  nowMs: number;
  kyc: { verified: boolean; name: NameKind } = { verified: true, name: 'own' };
  address: string | null;
  readonly w9s: W9[] = [];
  readonly refusedAccounts = new Set<number>();

  constructor(start: { payeeRole: Role; nowMs: number; address: string | null }) {
    this.payeeRole = start.payeeRole;
    this.nowMs = start.nowMs;
    this.address = start.address;
  }

  get payout(): ModelPayout | undefined {
    return this.payouts.at(-1);
  }

  get today(): number {
    return Math.floor(this.nowMs / DAY_MS);
  }

  get approvedW9(): W9 | undefined {
    return this.w9s.find(({ status }) => status === 'approved');
  }

  get submittedW9(): W9 | undefined {
    return this.w9s.find(({ status }) => status === 'submitted');
  }

  roleOf(person: Person): Role {
    if (person === 'payee') return this.payeeRole;
    const roles = { viewer: 'viewer', otherMember: 'member', finance: 'finance_manager' } as const;
    if (person === 'viewer' || person === 'otherMember' || person === 'finance') return roles[person];
    return person === 'finance2' ? 'finance_manager' : 'admin';
  }

  isVisibleTo(person: Person, payout: ModelPayout): boolean {
    return this.roleOf(person) !== 'member' || (person === 'payee' && payout.wasApproved);
  }

  /** Gross = net + fee + withheld, in cents. */
  amountsOf({ withheldCents }: ModelPayout): { gross: number; fee: number; withheld: number; net: number } {
    return {
      gross: GROSS_CENTS,
      fee: FEE_CENTS,
      withheld: withheldCents,
      net: GROSS_CENTS - FEE_CENTS - withheldCents,
    };
  }

  /** May this person do this to the payout now, by role, status and separation of duties? */
  allows(person: Person, action: PayoutAction, payout: ModelPayout): boolean {
    return this.#barriers(person, action, payout).length === 0;
  }

  predict(step: Step): Prediction {
    switch (step.do) {
      case 'kyc':
        return this.#fact(() => (this.kyc = { verified: step.verified, name: step.name }));
      case 'address':
        return this.#fact(() => (this.address = step.line1));
      case 'clock':
        return this.#fact(() => (this.nowMs += step.hours * HOUR_MS));
      case 'initiate':
        return this.#initiate(step.by, step.method);
      case 'unknown':
        return this.#unknown(step.by, step.action);
      case 'bank-info':
        return this.#bankInfo(step);
      case 'tax-info':
        return this.#taxInfo(step);
      case 'review-w9':
        return this.#reviewW9(step);
      case 'approve':
      case 'reject':
      case 'hold':
      case 'resume':
      case 'cancel':
      case 'notes':
      case 'generate-instructions':
      case 'mark-sent':
      case 'confirm':
      case 'fail': {
        const { payout } = this;
        if (!payout) return this.#unknown(step.by, step.do);
        const barriers = this.#barriers(step.by, step.do, payout);
        const { refusals, apply } = this.#act(step, payout);
        // What is asked is judged beside who asks; only one barred by status has no facts to judge by.
        const judged = FROM[step.do] === 'any' || FROM[step.do].includes(payout.status) ? refusals : [];
        const stale = refusals.filter(({ code }) => code === 'STALE_VERSION');
        return { refusals: [...barriers, ...new Set([...judged, ...stale])], apply };
      }
    }
  }

  #fact(change: () => unknown): Prediction {
    return {
      refusals: [],
      apply: () => {
        change();
        return false;
      },
    };
  }

  #unknown(by: Person, action: PayoutAction): Prediction {
    const refusals =
      action === 'bank-info' || action === 'tax-info'
        ? []
        : certain('FORBIDDEN', !MAY[action].includes(this.roleOf(by)));
    return { refusals: refusals.length > 0 ? refusals : certain('NOT_FOUND', true), apply: () => false };
  }

  #barriers(by: Person, action: PayoutAction, payout: ModelPayout): RefusalCase[] {
    const from = FROM[action];
    const wrongStatus = certain('INVALID_STATE', from !== 'any' && !from.includes(payout.status));
    if (action === 'bank-info' || action === 'tax-info') {
      const own = by === 'payee' && payout.wasApproved;
      return own ? wrongStatus : certain('FORBIDDEN', true);
    }
    const forbidden = certain('FORBIDDEN', !MAY[action].includes(this.roleOf(by)));
    if (forbidden.length > 0) return forbidden;
    return [...wrongStatus, ...certain('SEPARATION_OF_DUTIES', this.#isBarred(by, action, payout))];
  }

  /** Separation of duties, section 2. */
  #isBarred(by: Person, action: StaffAction, payout: ModelPayout): boolean {
    if (by === 'payee') return true;
    const decided = payout.decisions.some((one) => one.by === by && one.round === payout.round);
    const generated = payout.attempts.some(
      ({ status, generatedBy }) => status === 'ready' && generatedBy === by,
    );
    switch (action) {
      case 'approve':
        return decided || payout.initiatedBy === by;
      case 'reject':
        return decided;
      case 'generate-instructions':
        return payout.lastFailureBy === by;
      case 'mark-sent':
        return generated || payout.lastFailureBy === by;
      case 'confirm':
      case 'fail':
      case 'hold':
      case 'resume':
      case 'cancel':
      case 'notes':
        return false;
    }
  }

  #initiate(by: Person, method: Method): Prediction {
    const role = this.roleOf(by);
    const { payout } = this;
    const live = payout !== undefined && !RELEASED.includes(payout.status);
    return {
      refusals:
        role === 'admin'
          ? [
              ...certain('SEPARATION_OF_DUTIES', by === 'payee'),
              ...certain('INVALID_WINNER', live || !this.kyc.verified),
            ]
          : certain('FORBIDDEN', true),
      apply: () => {
        this.payouts.push({
          status: 'pending_approval',
          method,
          initiatedBy: by,
          round: 1,
          decisions: [],
          wasApproved: false,
          bank: null,
          bankTimesGiven: 0,
          bankChangedAtMs: null,
          withheldCents: 0,
          attempts: [],
          lastFailureBy: null,
          heldFrom: null,
          heldForNames: null,
          acceptedLast: null,
          acceptedEver: [],
          notes: 0,
          completedDay: null,
          trail: ['pending_approval'],
        });
        this.moves.push('new > pending_approval');
        return true;
      },
    };
  }

  #bankInfo({ by, account, holder }: Extract<Step, { do: 'bank-info' }>): Prediction {
    const payout = this.payouts.findLast(({ wasApproved }) => wasApproved);
    const refusals = this.#notTheirs(by) ?? [
      ...certain('NOT_FOUND', !payout),
      ...certain('INVALID_STATE', payout !== undefined && !FROM['bank-info'].includes(payout.status)),
      ...certain('BANK_DETAILS_REFUSED', payout !== undefined && this.refusedAccounts.has(account)),
    ];
    return {
      refusals,
      apply: () => {
        if (!payout) throw new Error('Bank details without a payout.');
        if (payout.bank?.account === account && payout.bank.holder === holder) return false;
        if (payout.bankTimesGiven > 0) payout.bankChangedAtMs = this.nowMs;
        payout.bankTimesGiven += 1;
        payout.bank = { account, holder };
        if (payout.status === 'ready_for_payment') this.#voidInstructions(payout);
        else this.#advance(payout);
        return true;
      },
    };
  }

  #taxInfo({ by, name, crossedOut }: Extract<Step, { do: 'tax-info' }>): Prediction {
    const isThere = this.payouts.some(({ wasApproved }) => wasApproved);
    return {
      refusals: this.#notTheirs(by) ?? certain('NOT_FOUND', !isThere),
      apply: () => {
        for (const form of this.w9s) if (form.status === 'submitted') form.status = 'superseded';
        this.w9s.push({ name, crossedOut, status: 'submitted' });
        return false;
      },
    };
  }

  /** Nobody but the member gives that member's data. */
  #notTheirs(by: Person): RefusalCase[] | undefined {
    if (by === 'payee') return undefined;
    return certain(this.roleOf(by) === 'member' ? 'FORBIDDEN' : 'SEPARATION_OF_DUTIES', true);
  }

  /** The form that a review is of. */
  reviewed(which: 'newest' | 'oldest' | 'unknown'): number | undefined {
    if (which === 'unknown' || this.w9s.length === 0) return undefined;
    return which === 'newest' ? this.w9s.length - 1 : 0;
  }

  #reviewW9({ by, approve, form: which }: Extract<Step, { do: 'review-w9' }>): Prediction {
    const index = this.reviewed(which);
    const form = index === undefined ? undefined : this.w9s[index];
    const may = DECIDERS.includes(this.roleOf(by));
    return {
      refusals: may
        ? [
            ...certain('NOT_FOUND', !form),
            ...certain('INVALID_STATE', form !== undefined && form.status !== 'submitted'),
            ...certain('SEPARATION_OF_DUTIES', form !== undefined && by === 'payee'),
          ]
        : certain('FORBIDDEN', true),
      apply: () => {
        if (!form) throw new Error('A review of nothing.');
        if (!approve) {
          form.status = 'rejected';
          return false;
        }
        for (const old of this.w9s) if (old.status === 'approved') old.status = 'superseded';
        form.status = 'approved';
        const { payout } = this;
        if (payout?.status === 'ready_for_payment') this.#voidInstructions(payout);
        else if (payout?.status === 'pending_tax_info') this.#advance(payout);
        else return false;
        return true;
      },
    };
  }

  #act(step: Extract<Step, { do: StaffAction }>, payout: ModelPayout): Prediction {
    switch (step.do) {
      case 'approve': {
        const wrong = step.version === 'stale' || step.version === 'future';
        return {
          refusals: certain('STALE_VERSION', wrong),
          apply: this.#changes(() => this.#approve(step.by, payout)),
        };
      }
      case 'reject':
        return this.#always(() => {
          payout.decisions.push({ by: step.by, round: payout.round, decision: 'rejected' });
          this.#move(payout, 'rejected');
        });
      case 'hold':
        return this.#always(() => this.#hold(payout));
      case 'resume':
        return this.#always(() => this.#resume(payout));
      case 'cancel':
        return this.#always(() => {
          this.#dropInstructions(payout);
          payout.heldFrom = null;
          this.#move(payout, 'cancelled');
        });
      case 'notes':
        return this.#always(() => (payout.notes += 1));
      case 'generate-instructions':
        return this.#generate(step, payout);
      case 'mark-sent':
        return this.#markSent(step, payout);
      case 'confirm':
        return this.#confirm(step, payout);
      case 'fail':
        return this.#fail(step, payout);
    }
  }

  #always(change: () => unknown): Prediction {
    return { refusals: [], apply: this.#changes(change) };
  }

  #changes(change: () => unknown): () => boolean {
    return () => {
      change();
      return true;
    };
  }

  #approve(by: Person, payout: ModelPayout): void {
    payout.decisions.push({ by, round: payout.round, decision: 'approved' });
    const approvals = payout.decisions.filter(
      ({ round, decision }) => round === payout.round && decision === 'approved',
    );
    if (approvals.length < 2) return;
    payout.wasApproved = true;
    this.#move(payout, 'approved');
    this.#advance(payout);
  }

  /** What stands between the payout and its payment, of what a member can give. */
  #standing(payout: ModelPayout): 'approved' | 'pending_bank_info' | 'pending_tax_info' {
    const reachable = payout.method === 'ach' ? payout.bank !== null : this.address !== null;
    if (!reachable) return 'pending_bank_info';
    return this.approvedW9 ? 'approved' : 'pending_tax_info';
  }

  #advance(payout: ModelPayout): void {
    if (!BEFORE_PAYMENT.includes(payout.status)) return;
    const standing = this.#standing(payout);
    if (standing === payout.status) return;
    if (payout.status === 'pending_tax_info' && standing === 'pending_bank_info') {
      // Only by way of approved, and that takes the W-9 that it waits for.
      if (!this.approvedW9) return;
      this.#move(payout, 'approved');
    }
    this.#move(payout, standing);
  }

  #move(payout: ModelPayout, to: Status): void {
    const move = MOVES.find((known) => known === `${payout.status} > ${to}`);
    if (!move) throw new Error(`The model makes a move of its own: ${payout.status} > ${to}`);
    this.moves.push(move);
    payout.status = to;
    payout.trail.push(to);
  }

  #liveAttempt(payout: ModelPayout): Attempt | undefined {
    return payout.attempts.find(({ status }) => ['ready', 'sent', 'completed'].includes(status));
  }

  #dropInstructions(payout: ModelPayout): void {
    const attempt = this.#liveAttempt(payout);
    if (attempt?.status === 'ready') attempt.status = 'voided';
    payout.withheldCents = 0;
  }

  #voidInstructions(payout: ModelPayout): void {
    this.#dropInstructions(payout);
    this.#move(payout, this.#standing(payout));
  }

  #hold(payout: ModelPayout, names: ModelPayout['heldForNames'] = null): void {
    const from = payout.status;
    this.#dropInstructions(payout);
    this.#move(payout, 'requires_manual_review');
    payout.heldFrom = from;
    payout.heldForNames = names;
  }

  #resume(payout: ModelPayout): void {
    const from = payout.heldFrom;
    payout.heldFrom = null;
    payout.notes += 1;
    if (payout.heldForNames) {
      payout.acceptedLast = payout.heldForNames;
      payout.acceptedEver.push(...payout.heldForNames.pairs);
    }
    payout.heldForNames = null;
    if (from === 'pending_approval') {
      payout.round += 1;
      this.#move(payout, from);
    } else if (from === 'payment_failed') {
      this.#move(payout, from);
    } else {
      this.#move(payout, this.#standing(payout));
    }
  }

  /** The names that a payment by this method brings together, and the pairs of them that differ. */
  #names(payout: ModelPayout, method: Method): { compared: string; pairs: string[] } {
    const names = [this.kyc.name, this.approvedW9?.name, method === 'ach' ? payout.bank?.holder : undefined];
    const given = names.filter((name) => name !== undefined).map(samePerson);
    const pairs = given.flatMap((name, index) =>
      given.slice(index + 1).flatMap((other) => (other === name ? [] : [[name, other].sort().join('/')])),
    );
    return {
      compared: names.map((name) => (name === undefined ? '' : samePerson(name))).join('|'),
      pairs: [...new Set(pairs)],
    };
  }

  /** The resume note accepts the pair of names for which the payout was held, and nobody else's. */
  #nameDoubt(payout: ModelPayout, method: Method): RefusalCase[] {
    const names = this.#names(payout, method);
    if (names.pairs.length === 0) return [];
    const last = payout.acceptedLast;
    if (last?.compared === names.compared) return [];
    const known = names.pairs.every((pair) => payout.acceptedEver.includes(pair));
    const effect = () => this.#hold(payout, names);
    return [{ code: 'NAME_MISMATCH', certain: !known, effect }];
  }

  #generate(step: Extract<Step, { do: 'generate-instructions' }>, payout: ModelPayout): Prediction {
    const method = step.method === 'unsaid' ? payout.method : step.method;
    const w9 = this.approvedW9;
    const cooling =
      payout.bankChangedAtMs !== null && this.nowMs - payout.bankChangedAtMs < COOLOFF_MS && !step.callback;
    const asked = step.withhold !== 'no';
    return {
      refusals: [
        ...certain('BANK_INFO_MISSING', method === 'ach' && payout.bank === null),
        ...certain('ADDRESS_MISSING', method === 'check' && this.address === null),
        ...(method === 'ach' ? certain('COOLOFF_ACTIVE', cooling) : open('COOLOFF_ACTIVE', cooling)),
        ...certain('KYC_NOT_VERIFIED', !this.kyc.verified, () => this.#hold(payout)),
        ...this.#nameDoubt(payout, method),
        ...certain('W9_MISSING', !w9 && step.withhold !== 'yes'),
        ...open('VALIDATION_ERROR', step.withhold === 'without-reason'),
        // With item 2 crossed out it is due anyway: to ask for it is idle, not wrong.
        ...(w9?.crossedOut
          ? open('WITHHOLDING_NOT_DUE', asked)
          : certain('WITHHOLDING_NOT_DUE', w9 !== undefined && asked)),
      ],
      apply: this.#changes(() => {
        payout.method = method;
        payout.withheldCents = !w9 || w9.crossedOut ? WITHHELD_CENTS : 0;
        payout.attempts.push({
          status: 'ready',
          method,
          generatedBy: step.by,
          generatedDay: this.today,
          sentDay: 0,
          account: method === 'ach' ? (payout.bank?.account ?? null) : null,
          frozen: this.#payeeNow(payout),
          frozenAddress: this.address,
        });
        this.#move(payout, 'ready_for_payment');
      }),
    };
  }

  #payeeNow(payout: ModelPayout): string {
    const address = payout.method === 'check' ? this.address : null;
    return JSON.stringify([
      this.kyc,
      this.w9s.findIndex(({ status }) => status === 'approved'),
      payout.bank,
      address,
    ]);
  }

  #markSent(step: Extract<Step, { do: 'mark-sent' }>, payout: ModelPayout): Prediction {
    const attempt = this.#liveAttempt(payout);
    const sentDay = this.today + step.sentInDays;
    const early = attempt !== undefined && sentDay < attempt.generatedDay;
    const stale = attempt !== undefined && attempt.frozen !== this.#payeeNow(payout);
    const moved = attempt !== undefined && attempt.frozenAddress !== this.address;
    const effect = () => this.#voidInstructions(payout);
    return {
      refusals: [
        ...certain('VALIDATION_ERROR', early || step.sentInDays > 0 || step.arrivesAfterDays < 0),
        ...certain('INSTRUCTIONS_STALE', stale, effect),
        ...(moved && !stale ? [{ code: 'INSTRUCTIONS_STALE' as const, certain: false, effect }] : []),
      ],
      apply: this.#changes(() => {
        if (!attempt) throw new Error('Sent without instructions.');
        Object.assign(attempt, { status: 'sent', sentDay });
        this.#move(payout, 'payment_sent');
      }),
    };
  }

  #confirm(step: Extract<Step, { do: 'confirm' }>, payout: ModelPayout): Prediction {
    const attempt = this.#liveAttempt(payout);
    const day = this.today + step.completedInDays;
    return {
      refusals: certain(
        'VALIDATION_ERROR',
        step.completedInDays > 0 || (attempt !== undefined && day < attempt.sentDay),
      ),
      apply: this.#changes(() => {
        if (!attempt) throw new Error('Completed without a payment.');
        attempt.status = 'completed';
        payout.completedDay = day;
        this.#move(payout, 'completed');
      }),
    };
  }

  #fail(step: Extract<Step, { do: 'fail' }>, payout: ModelPayout): Prediction {
    const attempt = this.#liveAttempt(payout);
    const proof =
      attempt?.method === 'ach'
        ? step.returnCode !== 'none'
        : payout.status === 'payment_sent' && step.stopped;
    const unproven = payout.status !== 'ready_for_payment' && !proof;
    return {
      refusals: [
        ...certain('FAILURE_NOT_PROVEN', unproven),
        // A completed check has no way back: to call that a wrong state is as true.
        ...certain('INVALID_STATE', payout.status === 'completed' && attempt?.method === 'check'),
      ],
      apply: this.#changes(() => {
        if (!attempt) throw new Error('A failure without a payment.');
        attempt.status = 'failed';
        payout.withheldCents = 0;
        payout.completedDay = null;
        payout.lastFailureBy = step.by;
        const ofAccount = attempt.method === 'ach' && ACCOUNT_CODES.includes(step.returnCode);
        this.#move(payout, 'payment_failed');
        if (ofAccount && attempt.account !== null) {
          this.refusedAccounts.add(attempt.account);
          payout.bank = null;
        }
        if (ofAccount) this.#move(payout, 'pending_bank_info');
        const third = payout.attempts.filter(({ status }) => status === 'failed').length >= 3;
        if (third) this.#hold(payout);
      }),
    };
  }
}
