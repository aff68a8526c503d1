import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

describe('mending the driver', () => {
  const root = join(import.meta.dirname, '../..');
  let copy: string;
  beforeEach(() => {
    copy = mkdtempSync(join(tmpdir(), 'payout-driver.'));
    mkdirSync(join(copy, 'scripts'));
    cpSync(join(root, 'scripts/mend-driver.mjs'), join(copy, 'scripts/mend-driver.mjs'));
    cpSync(join(root, 'node_modules/postgres'), join(copy, 'node_modules/postgres'), { recursive: true });
  });
  afterEach(() => rmSync(copy, { recursive: true, force: true }));

  const mend = () =>
    execFileSync(process.execPath, ['scripts/mend-driver.mjs'], { cwd: copy, stdio: 'pipe' });
  const path = (name: string) => join(copy, 'node_modules/postgres', name);

  it('again changes nothing', () => {
    const before = readFileSync(path('src/connection.js'), 'utf8');
    mend();
    expect(readFileSync(path('src/connection.js'), 'utf8')).toBe(before);
  });

  it('of one that is another says so, and changes nothing', () => {
    writeFileSync(path('src/connection.js'), 'export default 1\n');
    expect(mend).toThrow('not what scripts/mend-driver.mjs knows');
    expect(readFileSync(path('src/connection.js'), 'utf8')).toBe('export default 1\n');
    writeFileSync(path('package.json'), '{ "version": "3.5.0" }');
    expect(mend).toThrow('look whether it still needs that');
  });
});
