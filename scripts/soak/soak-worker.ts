/** A process of the soak: runs one batch of sequences after the other, each on a database of its own. */
import fc from 'fast-check';
import { sequences } from '../../test/model/commands.ts';
import { Coverage, ModelWorld } from '../../test/model/model-world.ts';
import type { Batch, BatchResult } from './soak-batch.ts';

/** Side by side in this process, so that it has work while the database has. */
const LANES = 3;
/** Commands that follow a sequence's beginning, at most. */
const LONGEST = 16;

const [url = '', templateDatabase = ''] = process.argv.slice(2);

process.on('message', (batch: Batch) => {
  void run(batch).then((result) => process.send?.(result));
});
process.on('disconnect', () => process.exit());

async function run(batch: Batch): Promise<BatchResult> {
  const coverage = new Coverage();
  const world = await ModelWorld.start({ lanes: LANES, cluster: { url, templateDatabase }, coverage });
  const divergences: string[] = [];
  const note = (error: unknown) => divergences.push(error instanceof Error ? causes(error) : String(error));
  try {
    const lanes = Array.from({ length: Math.min(LANES, batch.sequences) }, (_, lane) => {
      const more = lane < batch.sequences % LANES ? 1 : 0;
      const property = fc.asyncProperty(sequences(LONGEST), (sequence) => world.run(lane, sequence));
      return fc.assert(property, {
        seed: batch.seed + lane,
        numRuns: Math.floor(batch.sequences / LANES) + more,
      });
    });
    for (const outcome of await Promise.allSettled(lanes))
      if (outcome.status === 'rejected') note(outcome.reason);
    await world.checkInvariants().catch(note);
  } finally {
    await world.stop();
  }
  return {
    sequences: coverage.sequences,
    commands: coverage.steps,
    moves: [...coverage.moves],
    refusals: [...coverage.refusals],
    divergences,
  };
}

function causes(error: Error): string {
  return error.cause instanceof Error ? `${error.message}\n${causes(error.cause)}` : error.message;
}
