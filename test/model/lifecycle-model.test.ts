/** The life of a payout against a model of it: legal and illegal commands from all roles, drawn by fast-check. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXAMPLES, sequences } from './commands.ts';
import { ModelWorld } from './model-world.ts';
import { MOVES, REFUSALS } from './payout-model.ts';

const SEED = 20_261_120;
const SEQUENCES = 200;
const LANES = 4;
/** Commands that follow a sequence's beginning, at most. */
const LONGEST = 9;

let world: ModelWorld;
beforeAll(async () => {
  world = await ModelWorld.start({ lanes: LANES });
});
afterAll(() => world.stop());

describe('the life of a payout', () => {
  it(`is as the model has it in ${SEQUENCES} sequences, which go through every move and meet every refusal`, async () => {
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      fc.assert(
        fc.asyncProperty(sequences(LONGEST), (sequence) => world.run(lane, sequence)),
        {
          seed: SEED + lane,
          numRuns: SEQUENCES / LANES,
          examples: EXAMPLES.filter((_example, index) => index % LANES === lane),
          plugins: [fc.interruptAfterTimeLimit(280_000, { failOnInterrupt: true })],
        },
      ),
    );
    for (const outcome of await Promise.allSettled(lanes))
      if (outcome.status === 'rejected') throw outcome.reason as Error;
    await world.checkInvariants();
    const { coverage } = world;
    expect(coverage.sequences).toBe(SEQUENCES);
    expect(MOVES.filter((move) => !coverage.moves.has(move))).toEqual([]);
    expect(Object.keys(REFUSALS).filter((code) => !coverage.refusals.has(code))).toEqual([]);
  }, 300_000);
});
