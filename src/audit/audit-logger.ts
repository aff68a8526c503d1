import { randomUUID } from 'node:crypto';
import type { Database, Reader } from '../db/client.ts';
import { systemActor, type Actor } from '../kernel/actor.ts';
import type { Clock } from '../kernel/clock.ts';
import { DomainError } from '../kernel/errors.ts';
import { errorFields, type Logger } from '../kernel/logger.ts';
import { DEFAULT_PAGE, pageOf, type Page } from '../kernel/paging.ts';
import { currentContext } from '../kernel/request-context.ts';
import {
  findEmptyChains,
  findLastVerification,
  insertVerification,
  listEntries,
  placeOf,
  readChainLinks,
  subjectExists,
  type AuditFilter,
  type ChainPlace,
} from './audit-store.ts';
import { viewEntry, viewVerification, type AuditEntryView, type AuditVerification } from './audit-view.ts';
import { ChainWalk } from './chain-walk.ts';
import type { Checkpoints } from './checkpoints.ts';
import { recordAudit, type AuditEntityType, type AuditRecord } from './record-audit.ts';
import type { AuditValues } from './redaction-rules.ts';

/** What the audit log is searched by. `from` is inclusive, `to` exclusive. */
export type AuditQuery = Omit<AuditFilter, 'limit'> & { limit?: number | undefined };

/** A request that was refused, and by whom. */
export interface Refusal {
  actor: Actor;
  action: string;
  subject?: { entityType: 'payout' | 'tax_form'; entityId: string };
  code: string;
  message: string;
  method: string;
  path: string;
}

/** A read that leaves an entry, such as a download of a document with personal data. */
export interface AuditedRead {
  entityType: AuditEntityType;
  entityId: string;
  action: string;
  newValues?: AuditValues;
}

const VERIFY_BATCH = 5000;
const EXPORT_BATCH = 500;
const LONGEST_MESSAGE = 2000;

/**
 * Reads and verifies the audit log, and writes what is not part of a change: refusals, failures and reads. A change
 * writes its own entry in its transaction (record-audit.ts).
 */
export class AuditLogger {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #checkpoints: Checkpoints | undefined;

  constructor(deps: { database: Database; clock: Clock; logger: Logger; checkpoints?: Checkpoints }) {
    this.#checkpoints = deps.checkpoints;
    this.#database = deps.database;
    this.#clock = deps.clock;
    this.#logger = deps.logger;
  }

  /** Newest first. Throws VALIDATION_ERROR on a cursor that this service never gave. */
  async queryAuditLog(
    query: AuditQuery,
    reader: Reader = this.#database.reader,
  ): Promise<Page<AuditEntryView>> {
    const limit = query.limit ?? DEFAULT_PAGE;
    const rows = await listEntries(reader, { ...query, limit });
    return pageOf(rows, limit, placeOf, viewEntry);
  }

  /**
   * Every matching entry from the cursor on, newest first and `limit` at the most, read page by page as it is taken. The
   * export itself is audited. Throws VALIDATION_ERROR for a cursor that this service never gave, before there is a row.
   */
  async exportAuditLog(
    actor: Actor,
    { limit = Number.POSITIVE_INFINITY, ...query }: AuditQuery,
  ): Promise<AsyncIterable<AuditEntryView>> {
    const first = await this.queryAuditLog({ ...query, limit: Math.min(limit, EXPORT_BATCH) });
    await this.recordRead(actor, { entityType: 'audit', entityId: 'log', action: 'exported' });
    return this.#rows(query, first, limit);
  }

  async *#rows(
    query: AuditQuery,
    first: Page<AuditEntryView>,
    limit: number,
  ): AsyncGenerator<AuditEntryView> {
    yield* first.data;
    let cursor = first.nextCursor;
    let left = limit - first.data.length;
    while (cursor !== null && left > 0) {
      const page = await this.queryAuditLog({ ...query, cursor, limit: Math.min(left, EXPORT_BATCH) });
      yield* page.data;
      cursor = page.nextCursor;
      left -= page.data.length;
    }
  }

  /** Keeps a refusal with what it was about, if that exists. Never throws: the answer to the caller comes first. */
  async recordRefusal(refusal: Refusal): Promise<void> {
    const { actor, action, subject, code, message, method, path } = refusal;
    await this.#tryRecord(actor, {
      action,
      ...(subject ? { subject } : {}),
      message,
      metadata: { code, method, path },
    });
  }

  /** Keeps the failure of an operation. What an error of unknown origin says is left out: it can hold parameters. */
  async logError(
    operation: string,
    error: unknown,
    context: AuditValues & { actor?: Actor } = {},
  ): Promise<void> {
    const { actor = systemActor(operation), ...metadata } = context;
    const { errorName, sqlState } = errorFields(error);
    const message =
      error instanceof DomainError ? error.message : [errorName, sqlState].filter(Boolean).join(' ');
    const code = error instanceof DomainError ? error.code : 'INTERNAL';
    await this.#tryRecord(actor, { action: operation, message, metadata: { ...metadata, code } });
  }

  async #tryRecord(
    actor: Actor,
    {
      subject,
      message,
      ...entry
    }: { action: string; subject?: Refusal['subject']; message: string; metadata: AuditValues },
  ): Promise<void> {
    try {
      await this.#database.transaction(async (tx) => {
        const known =
          subject && (await subjectExists(tx, subject.entityType, subject.entityId)) ? subject : undefined;
        await recordAudit(tx, {
          ...entry,
          actor,
          at: this.#clock.now(),
          entityType: known?.entityType ?? 'request',
          entityId: known?.entityId ?? currentContext()?.requestId ?? randomUUID(),
          success: false,
          errorMessage: storable(message),
        });
      });
    } catch (failure) {
      const { entityType, entityId } = subject ?? {};
      this.#logger.error('An audit entry could not be written.', {
        action: entry.action,
        entityType,
        entityId,
        ...errorFields(failure),
      });
    }
  }

  /** Keeps a read in a transaction of its own. Throws when it cannot: what is not recorded is not shown. */
  async recordRead(actor: Actor, read: AuditedRead): Promise<void> {
    const record: AuditRecord = { ...read, actor, at: this.#clock.now() };
    await this.#database.transaction((tx) => recordAudit(tx, record));
  }

  /**
   * Recomputes every chain, a batch at a time, holds it against the checkpoints, and keeps the result. Entries written
   * meanwhile do no harm: a batch is read together with the heads of its chains, and the checkpoints before all.
   */
  async verify(actor: Actor = systemActor('audit-verify')): Promise<AuditVerification> {
    const reader = this.#database.reader;
    const held = await this.#checkpoints?.collect();
    const walk = new ChainWalk(held?.milestones, await this.#checkpoints?.anchors());
    let after: ChainPlace | undefined;
    for (;;) {
      const links = await readChainLinks(reader, after, VERIFY_BATCH);
      for (const link of links) walk.take(link);
      after = links.at(-1);
      if (links.length < VERIFY_BATCH) break;
    }
    walk.finish();
    walk.finishMissing();
    for (const chain of await findEmptyChains(reader)) walk.noteEmptyChain(chain);
    return this.#keepVerification(actor, walk, held);
  }

  async #keepVerification(
    actor: Actor,
    { entries, chains, firstFault }: ChainWalk,
    held: Awaited<ReturnType<Checkpoints['collect']>> | undefined,
  ): Promise<AuditVerification> {
    const at = this.#clock.now();
    const checkpointFault = held?.fault && {
      entityType: 'audit',
      entityId: 'checkpoint',
      chainIndex: held.fault.number,
      fault: held.fault.fault,
    };
    const fault = firstFault ?? checkpointFault ?? null;
    const last = held?.milestones.last ?? null;
    const row = {
      verifiedAt: at,
      valid: fault === null,
      entries,
      chains,
      checkpoint: last?.number ?? null,
      coveredEntries: last && held ? held.milestones.entries : null,
      firstFault: fault && { ...fault },
    };
    await this.#database.transaction(async (tx) => {
      await insertVerification(tx, row);
      await recordAudit(tx, {
        actor,
        at,
        entityType: 'audit',
        entityId: 'log',
        action: 'verified',
        newValues: { status: row.valid ? 'valid' : 'invalid', count: entries },
        success: row.valid,
        ...(fault
          ? { errorMessage: `${fault.entityType} ${fault.entityId} ${fault.chainIndex}: ${fault.fault}` }
          : {}),
      });
    });
    if (fault) {
      const { entityType, entityId, fault: reason } = fault;
      this.#logger.error('The audit log has been tampered with.', { entityType, entityId, reason });
    }
    return { ...row, verifiedAt: at.toISOString(), firstFault: fault };
  }

  /** The last result; all null when there is none. */
  async lastVerification(): Promise<AuditVerification> {
    return viewVerification(await findLastVerification(this.#database.reader));
  }
}

/** PostgreSQL takes neither NUL nor half a surrogate pair, and a message may repeat what the caller sent. */
const storable = (message: string): string =>
  message.slice(0, LONGEST_MESSAGE).replace(/[\0\p{Surrogate}]/gu, '\uFFFD');
