import type { Tx } from '../db/client.ts';
import { payoutApprovals } from '../db/schema/index.ts';

export async function insertApproval(
  tx: Tx,
  approval: Omit<typeof payoutApprovals.$inferInsert, 'id'>,
): Promise<void> {
  await tx.insert(payoutApprovals).values(approval);
}
