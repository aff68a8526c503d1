/** `node scripts/run.mjs <file.ts> [arguments]`: runs a TypeScript file, in this process, once all is installed. */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';

const [file, ...rest] = process.argv.slice(2);
if (!file) {
  console.error('Name the file to run: node scripts/run.mjs <file.ts> [arguments]');
  process.exit(1);
}
await ensureInstalled();
const path = resolve(file);
// The file finds its own arguments where a file that Node runs by itself finds them.
process.argv = [process.argv[0], path, ...rest];
const { register } = await import('tsx/esm/api');
register();
await import(pathToFileURL(path).href);
