/**
 * `npm run dev`: serves, and starts again at every change. `node --watch` does not wait for what it stops, which leaves
 * the embedded database running after Ctrl-C.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { join } from 'node:path';
import { ensureInstalled, root } from './ensure-installed.mjs';

/** An editor that saves everything writes many files at once. */
const SETTLE_MS = 200;

let service;
let changes = Promise.resolve();
let timer;
let isEnding = false;

function start() {
  // Of a process group of its own: Ctrl-C reaches it through us, once, and a second signal would cut its stop short.
  service = spawn(process.execPath, ['--import', 'tsx', join(root, 'src', 'main.ts')], {
    stdio: 'inherit',
    detached: true,
  });
}

async function stop() {
  if (!service || service.exitCode !== null || service.signalCode !== null) return;
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  await ended;
}

function startAgain() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    changes = changes.then(async () => {
      if (isEnding) return;
      console.log('Something has changed: the service starts again.');
      await stop();
      if (!isEnding) start();
    });
  }, SETTLE_MS);
}

async function end() {
  if (isEnding) return;
  isEnding = true;
  clearTimeout(timer);
  await changes;
  await stop();
  process.exit(0);
}

await ensureInstalled();
for (const folder of ['src', 'templates']) watch(join(root, folder), { recursive: true }, startAgain);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end());
start();
