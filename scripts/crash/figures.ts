/** What the crash test counts and prints. */
import { CRASH_POINTS } from '../../src/kernel/crash-points.ts';
import type { Verdict } from './ledger.ts';

export class Figures {
  readonly kills = new Map<string, number>();
  /** Of mutations that were killed at least once: the answer came from the table, or from doing it again. */
  replayed = 0;
  reexecuted = 0;
  mutations = 0;
  /** Requests that were first told "not now": the database was away, or the key still held by the dead. */
  turnedAway = 0;
  databaseKills = 0;
  /** Answers of status 500 while the database was away: they should have been 503. */
  readonly unnamed: string[] = [];
  readonly verdicts: Record<Exclude<Verdict, 'as once'>, number> = { lost: 0, doubled: 0, half: 0 };
  readonly faults: string[] = [];

  killed(where: string): void {
    this.kills.set(where, (this.kills.get(where) ?? 0) + 1);
  }

  get total(): number {
    return [...this.kills.values()].reduce((sum, count) => sum + count, 0);
  }

  get unreached(): string[] {
    return CRASH_POINTS.filter((point) => !this.kills.has(point));
  }

  get isGood(): boolean {
    return this.faults.length === 0 && this.unnamed.length === 0 && this.unreached.length === 0;
  }

  table(seconds: number): string {
    const rows: [string, number][] = [
      ...[...CRASH_POINTS, 'anywhere'].map((where): [string, number] => [where, this.kills.get(where) ?? 0]),
      ['service kills', this.total],
      ['PostgreSQL kills', this.databaseKills],
      ['mutations', this.mutations],
      ['answers replayed', this.replayed],
      ['answers re-executed', this.reexecuted],
      ['turned away first', this.turnedAway],
      ['lost', this.verdicts.lost],
      ['doubled', this.verdicts.doubled],
      ['half', this.verdicts.half],
      [
        'other faults',
        this.faults.length - Object.values(this.verdicts).reduce((sum, count) => sum + count, 0),
      ],
      ['answers 500', this.unnamed.length],
      ['seconds', Math.round(seconds)],
    ];
    const width = Math.max(...rows.map(([name]) => name.length));
    const told = [
      ...this.faults,
      ...new Set(this.unnamed),
      ...this.unreached.map((point) => `Never died at ${point}.`),
    ];
    return [
      ...rows.map(([name, count]) => `${name.padEnd(width)} ${String(count).padStart(6)}`),
      ...told,
    ].join('\n');
  }
}
