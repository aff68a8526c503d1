/** What callers see of the audit log: the document's AuditEntry, and where the entry stands in its chain. */
import { z } from 'zod';
import type { AuditRow, VerificationRow } from './audit-store.ts';

const instant = z.string().meta({ description: 'ISO 8601, UTC.', example: '2026-11-20T02:00:00.000Z' });
const values = z.record(z.string(), z.unknown());

export const auditEntryView = z
  .object({
    id: z.guid(),
    actor: z
      .string()
      .meta({ description: 'Who: staff, member, service or system, and which.', example: 'staff:3' }),
    userId: z.guid().nullable(),
    adminId: z.number().int().nullable(),
    entityType: z.string().meta({ example: 'payout' }),
    entityId: z.string().meta({ example: 'PO-2026-7K3M9QXA' }),
    action: z.string().meta({ example: 'approved' }),
    oldValues: values.nullable().meta({ description: 'What may not be shown stands as [hidden].' }),
    newValues: values.nullable(),
    success: z.boolean().meta({ description: 'False for what was refused or failed.' }),
    errorMessage: z.string().nullable(),
    metadata: values,
    ipAddress: z.string().nullable(),
    userAgent: z.string().nullable(),
    requestId: z.string().nullable(),
    createdAt: instant,
    chainIndex: z.number().int().meta({ description: 'Its place among the entries of this entity, from 1.' }),
    hash: z.string().meta({ description: 'SHA-256 over this entry and the hash of the one before.' }),
  })
  .meta({ id: 'AuditEntry', description: "The document's AuditEntry, with its place in the chain." });

export type AuditEntryView = z.infer<typeof auditEntryView>;

/** Leaves out what only orders and links the rows. */
export const viewEntry = ({
  sequence: _sequence,
  previousHash: _previous,
  createdAt,
  ...entry
}: AuditRow): AuditEntryView => ({
  ...entry,
  createdAt: createdAt.toISOString(),
});

export const verificationView = z
  .object({
    verifiedAt: instant.nullable().meta({ description: 'Null when the log was never verified.' }),
    valid: z.boolean().nullable(),
    entries: z.number().int().nullable(),
    chains: z.number().int().nullable(),
    checkpoint: z
      .number()
      .int()
      .nullable()
      .meta({ description: 'The newest signed checkpoint; null without one.' }),
    coveredEntries: z
      .number()
      .int()
      .nullable()
      .meta({ description: 'Entries that checkpoints cover: cut off or rewritten, they would be missed.' }),
    firstFault: z
      .object({
        entityType: z.string(),
        entityId: z.string(),
        chainIndex: z.number().int(),
        fault: z.string().meta({ description: 'What is wrong with this entry.' }),
      })
      .nullable(),
  })
  .meta({ id: 'AuditVerification', description: 'The result of recomputing every chain of the audit log.' });

export type AuditVerification = z.infer<typeof verificationView>;

export const viewVerification = (row: VerificationRow | undefined): AuditVerification =>
  row
    ? {
        verifiedAt: row.verifiedAt.toISOString(),
        valid: row.valid,
        entries: row.entries,
        chains: row.chains,
        checkpoint: row.checkpoint,
        coveredEntries: row.coveredEntries,
        firstFault: (row.firstFault as AuditVerification['firstFault']) ?? null,
      }
    : {
        verifiedAt: null,
        valid: null,
        entries: null,
        chains: null,
        checkpoint: null,
        coveredEntries: null,
        firstFault: null,
      };
