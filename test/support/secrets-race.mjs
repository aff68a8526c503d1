/** A thread that makes the secrets of one folder after the other, each in the very moment in which others do so too. */
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
const { loadConfig } = await import('../../src/config.ts');
const waiting = new Int32Array(workerData.gate);
parentPort.postMessage(
  workerData.folders.map((DATA_DIR, nth) => {
    Atomics.add(waiting, nth, 1);
    while (Atomics.load(waiting, nth) < workerData.together);
    try {
      return loadConfig({ DATA_DIR }).jwt.secret;
    } catch (error) {
      return String(error);
    }
  }),
);
