/**
 * `npm run mutate [-- room …]`: Stryker changes the code of what is pure, one change at a time, and the tests of that room
 * must fail. Group by group, as a change of a table costs a run of all tests that are there. Prints the share that was
 * killed and every survivor; exit status 1 below 90%.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, root } from './ensure-installed.mjs';

const WANTED_PERCENT = 90;
/** Beside the `*-rules.ts` of a room. */
const ALSO = {
  kernel: ['payout-lifecycle', 'permissions', 'money', 'calendar', 'canonical-json'],
  auth: ['session-token'],
  crypto: ['envelope', 'gcm', 'master-keys', 'kms-keys'],
};
const GROUPS = [
  ['kernel', 'auth'],
  ['crypto'],
  ['payouts'],
  ['payments'],
  ['approvals', 'eligibility', 'jobs', 'membership', 'queue', 'winners'],
  ['tax'],
  ['audit'],
  ['http'],
];

const asked = process.argv.slice(2);
const groups = asked.length === 0 ? GROUPS : [asked];

await ensureInstalled();
const began = performance.now();
const lines = [];
const survivors = [];
const total = { killed: 0, all: 0 };
for (const group of groups) {
  const { killed, all } = mutate(group);
  total.killed += killed;
  total.all += all;
  lines.push(line(group.join(', '), killed, all));
}
console.log(['', ...survivors, '', ...lines, line('all', total.killed, total.all)].join('\n'));
console.log(`${Math.round((performance.now() - began) / 1000)} s`);
if (total.all === 0 || (100 * total.killed) / total.all < WANTED_PERCENT) process.exitCode = 1;

function mutate(group) {
  const files = group.flatMap((room) => [
    `src/${room}/*-rules.ts`,
    ...(ALSO[room] ?? []).map((name) => `src/${room}/${name}.ts`),
  ]);
  const stryker = join(root, 'node_modules', '@stryker-mutator', 'core', 'bin', 'stryker.js');
  const { status } = spawnSync(process.execPath, [stryker, 'run', '--mutate', files.join(',')], {
    cwd: root,
    // For vitest.mutate.config.ts.
    env: { ...process.env, MUTATE_ROOMS: group.join(',') },
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error(`Stryker could not do ${group.join(', ')}.`);
  const report = JSON.parse(readFileSync(join(root, '.data', 'mutation.json'), 'utf8'));
  const figures = { killed: 0, all: 0 };
  for (const [file, { mutants, source }] of Object.entries(report.files)) {
    for (const { status: fate, mutatorName, location, replacement } of mutants) {
      if (!['Killed', 'Timeout', 'Survived', 'NoCoverage'].includes(fate)) continue;
      figures.all += 1;
      if (fate === 'Killed' || fate === 'Timeout') figures.killed += 1;
      else {
        const was = source.split('\n')[location.start.line - 1]?.trim();
        survivors.push(
          `${file}:${location.start.line}:${location.start.column} ${mutatorName}\n    ${was}\n    ${replacement}`,
        );
      }
    }
  }
  return figures;
}

function line(name, killed, all) {
  const percent = all === 0 ? '-' : ((100 * killed) / all).toFixed(1);
  return `${name.padEnd(62)} ${killed} of ${all}, ${percent}%`;
}
