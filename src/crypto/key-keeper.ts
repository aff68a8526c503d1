import type { Database } from '../db/client.ts';
import { DecryptionError, type Vault } from './envelope.ts';
import { FIRST_ID, sealedTables, type SealedRow, type SealedTable } from './vault-store.ts';

/** Values that one master key wraps. */
export interface KeyUse {
  keyId: string;
  current: boolean;
  count: number;
}

export interface Rotation {
  rewrapped: number;
  /** What does not decrypt, named by table and row: it stays as it is. */
  faults: string[];
  remaining: KeyUse[];
}

const PAGE = 200;
/** A key service answers in milliseconds: as many questions at once as it takes without being throttled. */
const AT_ONCE = 8;

/** Changes the master key under a service that goes on, and finds what does not decrypt. */
export class KeyKeeper {
  readonly #vault: Vault;
  readonly #tables: readonly SealedTable[];

  constructor(database: Database, vault: Vault) {
    this.#vault = vault;
    this.#tables = sealedTables(database);
  }

  /**
   * Wraps every data key anew under the current master key. Each row is its own step, so it may be stopped at any time
   * and started again, and whoever writes meanwhile is not disturbed. `tell` is called after every page.
   */
  async rotate(tell: (remaining: KeyUse[]) => void = () => {}): Promise<Rotation> {
    const faults = new Set<string>();
    let rewrapped = 0;
    for (;;) {
      const before = rewrapped;
      for (const table of this.#tables)
        rewrapped += await this.#rotateTable(table, faults, async () => tell(await this.remaining()));
      // Once more: an instance that was started before may have written under the old key meanwhile.
      if (rewrapped === before) break;
    }
    return { rewrapped, faults: [...faults], remaining: await this.remaining() };
  }

  async #rotateTable(table: SealedTable, faults: Set<string>, paged: () => Promise<void>): Promise<number> {
    const current = await this.#vault.currentKeyId();
    let rewrapped = 0;
    await this.#walk(table, current, async (row) => {
      try {
        const renewed = await this.#vault.rewrap(row.sealed, row.place);
        if (await table.replace(row.id, row.sealed, renewed)) rewrapped += 1;
      } catch (error) {
        if (!(error instanceof DecryptionError)) throw error;
        faults.add(nameOf(row));
      }
    }, paged); // prettier-ignore
    return rewrapped;
  }

  /** Opens every sealed value and holds it against its row. */
  async check(): Promise<{ checked: number; faults: string[]; keys: KeyUse[] }> {
    const faults: string[] = [];
    let checked = 0;
    for (const table of this.#tables) {
      await this.#walk(table, undefined, async (row) => {
        checked += 1;
        if (!(await this.#isSound(row))) faults.push(nameOf(row));
      });
    }
    return { checked, faults, keys: await this.remaining() };
  }

  async #isSound(row: SealedRow): Promise<boolean> {
    try {
      return row.agrees(await this.#vault.open(row.sealed, row.place));
    } catch (error) {
      // What decrypts is what we wrote, so that it always can be read.
      if (error instanceof DecryptionError) return false;
      throw error;
    }
  }

  async #walk(
    table: SealedTable,
    notUnder: string | undefined,
    work: (row: SealedRow) => Promise<void>,
    paged: () => Promise<void> = async () => {},
  ): Promise<void> {
    for (let after = FIRST_ID; ;) {
      const rows = await table.page(after, PAGE, notUnder);
      const last = rows.at(-1);
      if (!last) return;
      for (let start = 0; start < rows.length; start += AT_ONCE)
        await Promise.all(rows.slice(start, start + AT_ONCE).map(work));
      await paged();
      after = last.id;
    }
  }

  /** How many values each master key wraps, the current one first. */
  async remaining(): Promise<KeyUse[]> {
    const current = await this.#vault.currentKeyId();
    const counts = new Map([[current, 0]]);
    for (const table of this.#tables)
      for (const { keyId, count } of await table.counts())
        counts.set(keyId, (counts.get(keyId) ?? 0) + count);
    return [...counts].map(([keyId, count]) => ({ keyId, current: keyId === current, count }));
  }
}

const nameOf = ({ place }: SealedRow): string => `${place.table} ${place.row} version ${place.version}`;
