/** Where checkpoints lie: outside of the database, so that whoever rewrites it does not rewrite them. */
import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface CheckpointPlace {
  /** The numbers that are there, lowest first. */
  numbers(): Promise<number[]>;
  read(number: number): Promise<Buffer>;
  /** Never writes over one that is there: false then. Durable when it returns. */
  add(number: number, file: Buffer): Promise<boolean>;
}

const NAME = /^(\d{8})\.checkpoint$/;
const nameOf = (number: number): string => `${String(number).padStart(8, '0')}.checkpoint`;

/** A folder; instances share one. Give it to a volume whose files can be added and not changed, where there is one. */
export class CheckpointFolder implements CheckpointPlace {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async numbers(): Promise<number[]> {
    try {
      const names = await readdir(this.#path);
      return names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b); // prettier-ignore
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw error;
    }
  }

  read(number: number): Promise<Buffer> {
    return readFile(join(this.#path, nameOf(number)));
  }

  async add(number: number, file: Buffer): Promise<boolean> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 });
    try {
      const handle = await open(join(this.#path, nameOf(number)), 'wx', 0o400);
      try {
        await handle.writeFile(file);
        await handle.sync();
      } finally {
        await handle.close();
      }
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    }
  }
}
