import { z } from 'zod';
import { csvDownload, type CsvColumns } from '../http/csv.ts';
import { route, type Route } from '../http/route.ts';
import { line, listOf, moment, pageQuery, until, userId } from '../http/schemas.ts';
import type { AuditLogger } from './audit-logger.ts';
import { auditEntryView, verificationView, type AuditEntryView } from './audit-view.ts';

const TAG = 'Audit';

const auditQuery = z.strictObject({
  entityType: line(50)
    .optional()
    .meta({ description: 'Such as payout, approval, payment or tax_form.', example: 'payout' }),
  entityId: line(200).optional().meta({ description: 'Such as a payout id.', example: 'PO-2026-7K3M9QXA' }),
  action: line(100).optional().meta({ example: 'approved' }),
  adminId: z
    .string()
    .regex(/^\d{1,9}$/, 'must be the number of a member of staff')
    .transform(Number)
    .optional()
    .meta({ description: 'What this member of staff did.', example: '3' }),
  userId: userId.optional().meta({ description: 'What this person did, as staff or as a member.' }),
  from: moment.optional().meta({ description: 'Entries from this day or instant on.' }),
  to: until.optional(),
  format: z
    .enum(['json', 'csv'])
    .optional()
    .meta({ description: 'json unless said. csv has all that match, where no limit is given.' }),
  ...pageQuery,
});

const json = (values: unknown): string | null => (values === null ? null : JSON.stringify(values));

const CSV_COLUMNS: CsvColumns<AuditEntryView> = [
  ['Time (UTC)', (entry) => entry.createdAt],
  ['Actor', (entry) => entry.actor],
  ['User', (entry) => entry.userId],
  ['Staff number', (entry) => entry.adminId],
  ['Entity type', (entry) => entry.entityType],
  ['Entity', (entry) => entry.entityId],
  ['Action', (entry) => entry.action],
  ['Success', (entry) => (entry.success ? 'yes' : 'no')],
  ['Error', (entry) => entry.errorMessage],
  ['Old values', (entry) => json(entry.oldValues)],
  ['New values', (entry) => json(entry.newValues)],
  ['Metadata', (entry) => json(entry.metadata)],
  ['IP address', (entry) => entry.ipAddress],
  ['User agent', (entry) => entry.userAgent],
  ['Request', (entry) => entry.requestId],
  ['Id', (entry) => entry.id],
  ['Chain index', (entry) => entry.chainIndex],
  ['Hash', (entry) => entry.hash],
];

const EXAMPLE: AuditEntryView = {
  id: '0d9a3f53-1d0a-4f0c-9c55-0b8f4f4b8a10',
  actor: 'staff:3',
  userId: '6a6e4c9e-4f0e-4a8e-9d7b-1f0a2f6f3b11',
  adminId: 3,
  entityType: 'approval',
  entityId: 'PO-2026-7K3M9QXA',
  action: 'approved',
  oldValues: { status: 'pending_approval', version: 1 },
  newValues: { status: 'pending_approval', version: 2 },
  success: true,
  errorMessage: null,
  metadata: { role: 'finance_manager' },
  ipAddress: '203.0.113.7',
  userAgent: 'Mozilla/5.0',
  requestId: 'b1f7f0c2-5d0e-4a57-9f39-6f8f0f4f7c11',
  createdAt: '2026-11-20T09:30:00.000Z',
  chainIndex: 2,
  hash: '9f2c4be81a07d35566aa0bc1d2e3f405162738495a6b7c8d9e0f1a2b3c4d5e6f',
};

export const auditRoutes = (auditLogger: AuditLogger): Route[] => [
  route({
    method: 'get',
    path: '/api/reports/audit-log',
    tag: TAG,
    summary: 'Search the audit log',
    description:
      'Newest first. Numbers of accounts and taxpayers never stand in it. A CSV export is itself recorded.',
    needs: 'audit.read',
    query: auditQuery,
    reply: listOf(auditEntryView),
    files: ['text/csv'],
    example: { reply: { data: [EXAMPLE], nextCursor: null } },
    handle: async ({ actor, query: { format, ...query } }) =>
      format === 'csv'
        ? csvDownload('audit-log.csv', CSV_COLUMNS, await auditLogger.exportAuditLog(actor, query))
        : auditLogger.queryAuditLog(query),
  }),
  route({
    method: 'get',
    path: '/api/reports/audit-log/verification',
    tag: TAG,
    summary: 'The last verification of the audit log',
    description:
      'Says whether every chain of entries was whole and as the signed checkpoints hold it, and otherwise names the first entry that is wrong.',
    needs: 'audit.read',
    reply: verificationView,
    example: {
      reply: {
        verifiedAt: '2026-11-20T03:00:00.000Z',
        valid: true,
        entries: 4812,
        chains: 377,
        checkpoint: 96,
        coveredEntries: 4790,
        firstFault: null,
      },
    },
    handle: () => auditLogger.lastVerification(),
  }),
];
