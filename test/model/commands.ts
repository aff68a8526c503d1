/** What fast-check draws: sequences of commands, legal and illegal, in all roles, and how they become steps. */
import fc from 'fast-check';
import {
  STAFF_ACTIONS,
  type Method,
  type PayoutAction,
  type PayoutModel,
  type Person,
  type Role,
  type StaffAction,
  type Step,
} from './payout-model.ts';

/** Somebody by name, one of those who may (0 and up) or may not (-1 and down), settled when the command's turn comes. */
type By = Person | number;
type Drawn<S> = S extends { by: Person } ? Omit<S, 'by'> & { by: By } : S;

/** A step whose person is still open, or a step in the payout's usual life, whatever comes next. */
export type Command = Drawn<Step> | { do: 'go on'; pick: number };

export interface Sequence {
  payeeRole: Role;
  method: Method;
  hasAddress: boolean;
  commands: Command[];
}

const PERSONS: readonly Person[] = [
  'admin',
  'admin2',
  'finance',
  'finance2',
  'viewer',
  'payee',
  'otherMember',
];
const STAFF: readonly Person[] = ['admin', 'admin2', 'finance', 'finance2'];

const by = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3) },
  { weight: 2, arbitrary: fc.integer({ min: -5, max: -1 }) },
  { weight: 1, arbitrary: fc.constantFrom(...PERSONS) },
);
const byPayee = fc.oneof(
  { weight: 9, arbitrary: fc.constant('payee' as const) },
  { weight: 1, arbitrary: fc.constantFrom(...PERSONS) },
);
const method = fc.constantFrom('ach' as const, 'check' as const);
const mostly = <T>(usual: T, ...others: T[]) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(usual) },
    { weight: 2, arbitrary: fc.constantFrom(...others) },
  );
const name = mostly('own' as const, 'variant' as const, 'stranger' as const, 'stranger2' as const);
const days = mostly(0, -1, 1, -3);

const actions = (...names: ('reject' | 'hold' | 'resume' | 'cancel' | 'notes')[]) =>
  fc.record({ do: fc.constantFrom(...names), by });

const initiate = fc.record({ do: fc.constant('initiate' as const), by, method });
const approve = fc.record({
  do: fc.constant('approve' as const),
  by,
  version: mostly('none' as const, 'current' as const, 'stale' as const, 'future' as const),
});
const bankInfo = fc.record({
  do: fc.constant('bank-info' as const),
  by: byPayee,
  account: fc.nat(3),
  holder: name,
});
const taxInfo = fc.record({
  do: fc.constant('tax-info' as const),
  by: byPayee,
  name,
  crossedOut: mostly(false, true),
});
const reviewW9 = fc.record({
  do: fc.constant('review-w9' as const),
  by,
  approve: mostly(true, false),
  form: mostly('newest' as const, 'oldest' as const, 'unknown' as const),
});
const generate = fc.record({
  do: fc.constant('generate-instructions' as const),
  by,
  method: mostly<Method | 'unsaid'>('unsaid', 'ach', 'check'),
  withhold: fc.constantFrom('no' as const, 'no' as const, 'yes' as const, 'without-reason' as const),
  callback: fc.boolean(),
});
const markSent = fc.record({
  do: fc.constant('mark-sent' as const),
  by,
  sentInDays: days,
  arrivesAfterDays: mostly(2, 0, -1),
});
const confirm = fc.record({ do: fc.constant('confirm' as const), by, completedInDays: days });
const fail = fc.record({
  do: fc.constant('fail' as const),
  by,
  returnCode: fc.constantFrom('none' as const, 'R01' as const, 'R03' as const),
  stopped: fc.boolean(),
});
const kyc = fc.record({ do: fc.constant('kyc' as const), verified: mostly(true, false), name });
const address = fc.record({
  do: fc.constant('address' as const),
  line1: fc.constantFrom('7 Elm Street', '8 Oak Street', null),
});
const clock = fc.record({ do: fc.constant('clock' as const), hours: fc.constantFrom(1, 24, 71, 72, 240) });
const unknown = fc.record({
  do: fc.constant('unknown' as const),
  by: fc.constantFrom(...PERSONS),
  action: fc.constantFrom<PayoutAction>(...STAFF_ACTIONS),
});
const goOn = fc.record({ do: fc.constant('go on' as const), pick: mostly(0, 1, 2, 3) });

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 18, arbitrary: goOn },
  { weight: 1, arbitrary: initiate },
  { weight: 3, arbitrary: approve },
  { weight: 4, arbitrary: actions('reject', 'hold', 'resume', 'cancel', 'cancel', 'notes') },
  { weight: 2, arbitrary: actions('hold', 'resume') },
  { weight: 3, arbitrary: bankInfo },
  { weight: 2, arbitrary: taxInfo },
  { weight: 2, arbitrary: reviewW9 },
  { weight: 5, arbitrary: generate },
  { weight: 3, arbitrary: markSent },
  { weight: 2, arbitrary: confirm },
  { weight: 4, arbitrary: fail },
  { weight: 1, arbitrary: kyc },
  { weight: 1, arbitrary: address },
  { weight: 1, arbitrary: clock },
  { weight: 1, arbitrary: unknown },
);

const on: Command = { do: 'go on', pick: 0 };
const times = (count: number): Command[] => Array.from({ length: count }, () => on);
const failed = (returnCode: 'R01' | 'R03'): Command => ({ do: 'fail', by: 0, returnCode, stopped: true });
const check: Command = { do: 'initiate', by: 0, method: 'check' };
const generateNow: Command = {
  do: 'generate-instructions',
  by: 0,
  method: 'unsaid',
  withhold: 'yes',
  callback: true,
};
const send: Command = { do: 'mark-sent', by: 1, sentInDays: 0, arrivesAfterDays: 1 };

/** Beginnings that lead where chance seldom goes; what follows them is drawn. */
const BEGINNINGS: Command[][] = [
  // A check, and the address gone between the instructions and their sending.
  [check, on, on, on, generateNow, { do: 'address', line1: null }, send],
  // Back to waiting for the W-9, as the address has changed.
  [check, on, on, generateNow, { do: 'address', line1: '7 Elm Street' }, send],
  // Three failures, each recorded by another.
  [...times(8), failed('R01'), on, on, failed('R01'), on, { ...send, by: 0 }, failed('R03')],
  [...times(8), failed('R01'), on, failed('R01'), on, failed('R01')],
  // The account is refused and then given again.
  [...times(8), failed('R03'), { do: 'bank-info', by: 'payee', account: 0, holder: 'own' }],
  // An account in somebody else's name.
  [...times(3), { do: 'bank-info', by: 'payee', account: 1, holder: 'stranger' }, generateNow],
  // The identity check is lost before the instructions, and after.
  [...times(6), { do: 'kyc', verified: false, name: 'own' }, on],
  [...times(7), { do: 'kyc', verified: false, name: 'own' }, send],
  // New bank details, and too much haste.
  [
    ...times(4),
    { do: 'bank-info', by: 'payee', account: 2, holder: 'own' },
    { do: 'generate-instructions', by: 0, method: 'ach', withhold: 'yes', callback: false },
  ],
  // Sent tomorrow, sent before there were instructions, arrived before it was sent.
  [...times(7), { ...send, sentInDays: 1 }, { ...send, sentInDays: -1 }],
  [...times(7), send, { do: 'confirm', by: 0, completedInDays: -1 }],
  // A completed payment comes back.
  [...times(9), failed('R01')],
];

/** So far as usual, and then something else. */
const turn: fc.Arbitrary<Command[]> = fc
  .tuple(
    fc.constantFrom(times(1), times(3), times(4), times(6), times(7), [...times(7), failed('R01')]),
    fc.constantFrom('hold' as const, 'cancel' as const, 'reject' as const),
  )
  .map(([way, action]) => [...way, { do: action, by: 0 }]);

const beginning: fc.Arbitrary<Command[]> = fc.oneof(
  { weight: 5, arbitrary: fc.array(goOn, { maxLength: 9, size: 'max' }) },
  { weight: 3, arbitrary: fc.integer({ min: 2, max: 9 }).map(times) },
  { weight: 3, arbitrary: fc.constantFrom(...BEGINNINGS) },
  { weight: 3, arbitrary: turn },
);

/** Every beginning by itself: with these first, no run depends on chance to get there. */
export const EXAMPLES: readonly [Sequence][] = BEGINNINGS.map((commands) => [
  { payeeRole: 'member', method: 'ach', hasAddress: true, commands },
]);

/** `longest` counts the commands after the beginning. */
export function sequences(longest: number): fc.Arbitrary<Sequence> {
  const drawn = fc
    .record({
      payeeRole: fc.oneof(
        { weight: 6, arbitrary: fc.constant<Role>('member') },
        { weight: 2, arbitrary: fc.constantFrom<Role>('admin', 'finance_manager', 'viewer') },
      ),
      method,
      hasAddress: mostly(true, false),
      first: beginning,
      later: fc.array(command, { minLength: 2, maxLength: longest, size: 'max' }),
    })
    .map(({ first, later, ...rest }) => ({ ...rest, commands: [...first, ...later] }));
  // Without fast-check's leaning towards short ones: those end before anything is paid. A failure is told when it has
  // been shortened for a while, as each try takes half a second.
  return fc.limitShrink(fc.noBias(drawn), 60);
}

/** Settles who does it; undefined where there is nothing left to do. */
export function settle(drawn: Command, model: PayoutModel, wanted: Method): Step | undefined {
  if (drawn.do === 'go on') return nextStep(model, wanted, drawn.pick);
  if (!('by' in drawn)) return drawn;
  if (typeof drawn.by === 'string') return { ...drawn, by: drawn.by };
  const able = drawn.by < 0 ? whoMayNot(drawn.do, model) : whoMay(drawn.do, model);
  return { ...drawn, by: able[Math.abs(drawn.by) % able.length] ?? 'admin' };
}

/** Deciders all the same, so that it is separation of duties that bars them, where anything does. */
function whoMayNot(action: Step['do'], model: PayoutModel): readonly Person[] {
  const able = whoMay(action, model);
  return [...STAFF, 'payee' as const].filter(
    (person) => !able.includes(person) || able.length === STAFF.length,
  );
}

function whoMay(action: Step['do'], model: PayoutModel): readonly Person[] {
  if (action === 'initiate') return ['admin', 'admin2'];
  const { payout } = model;
  const known = STAFF_ACTIONS.find((one) => one === action);
  const able = payout && known ? STAFF.filter((person) => model.allows(person, known, payout)) : [];
  return able.length > 0 ? able : STAFF;
}

/** The steps that bring the payout on from where it is; the usual one first. */
function nextStep(model: PayoutModel, wanted: Method, pick: number): Step | undefined {
  const { payout } = model;
  const initiation: Step = { do: 'initiate', by: pick % 2 === 0 ? 'admin' : 'admin2', method: wanted };
  if (!payout) return model.kyc.verified ? initiation : { do: 'kyc', verified: true, name: 'own' };
  const somebody = (action: StaffAction): Person => {
    const able = whoMay(action, model);
    return able[pick % able.length] ?? 'admin';
  };
  const account = [0, 1, 2, 3].find((number) => !model.refusedAccounts.has(number)) ?? 0;
  const bank: Step = { do: 'bank-info', by: 'payee', account, holder: 'own' };
  const otherBank: Step = { ...bank, account: (payout.bank?.account ?? 0) === 3 ? 2 : 3 };
  const instructions: Step = {
    do: 'generate-instructions',
    by: somebody('generate-instructions'),
    method: 'unsaid',
    withhold: model.approvedW9 ? 'no' : 'yes',
    callback: true,
  };
  const byCheck: Step = { ...instructions, method: 'check' };
  const form: Step = {
    do: 'tax-info',
    by: 'payee',
    name: pick === 1 ? 'variant' : 'own',
    crossedOut: pick === 3,
  };
  const review: Step = { do: 'review-w9', by: 'finance', approve: true, form: 'newest' };
  const w9 = model.submittedW9 ? review : form;
  const failure: Step = {
    do: 'fail',
    by: somebody('fail'),
    returnCode: pick === 3 ? 'R03' : 'R01',
    stopped: true,
  };
  const steps: Record<typeof payout.status, Step[]> = {
    pending_approval: [{ do: 'approve', by: somebody('approve'), version: pick === 1 ? 'current' : 'none' }],
    pending_bank_info: payout.method === 'ach' ? [bank, bank, byCheck, w9] : [w9, byCheck],
    pending_tax_info: [w9, instructions, w9, instructions],
    approved: [instructions],
    ready_for_payment: [
      { do: 'mark-sent', by: somebody('mark-sent'), sentInDays: 0, arrivesAfterDays: 3 },
      failure,
      otherBank,
      w9,
    ],
    payment_sent: [{ do: 'confirm', by: somebody('confirm'), completedInDays: 0 }, failure],
    completed: [failure],
    payment_failed: [payout.method === 'ach' && !payout.bank ? bank : instructions, byCheck],
    rejected: [initiation],
    cancelled: [initiation],
    requires_manual_review: [
      { do: 'resume', by: somebody('resume') },
      { do: 'kyc', verified: true, name: 'own' },
    ],
  };
  const possible = steps[payout.status];
  return possible[pick % possible.length];
}
