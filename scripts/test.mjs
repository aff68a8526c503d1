/** `npm test`: the whole suite, with coverage; `npm test -- <part of a file's name>` runs that part, without. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureInstalled, root } from './ensure-installed.mjs';

const args = process.argv.slice(2);
await ensureInstalled();
// The coverage of a part says nothing.
const isWhole = args.every((arg) => arg.startsWith('-') && !/^(-t|--testNamePattern|--changed)\b/.test(arg));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// In this process, so that signals and the exit code need no forwarding.
process.argv = [process.argv[0], vitest, 'run', ...(isWhole ? ['--coverage'] : []), ...args];
process.chdir(root);
await import(pathToFileURL(vitest).href);
