/** `npm test`: the whole suite; COVERAGE=true measures its coverage too. `npm test -- <part of a file's name>`: that part. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureInstalled, root } from './ensure-installed.mjs';

const args = process.argv.slice(2);
await ensureInstalled();
// The coverage of a part says nothing.
const covers =
  process.env.COVERAGE === 'true' &&
  args.every((arg) => arg.startsWith('-') && !/^(-t|--testNamePattern|--changed)\b/.test(arg));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// In this process, so that signals and the exit code need no forwarding.
process.argv = [process.argv[0], vitest, 'run', ...(covers ? ['--coverage'] : []), ...args];
process.chdir(root);
await import(pathToFileURL(vitest).href);
