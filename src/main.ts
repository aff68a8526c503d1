/** Starts the service and stops it gracefully. The only file with effects on import. */
import closeWithGrace from 'close-with-grace';
import { ConfigError } from './config.ts';
import { reasonOf } from './db/errors.ts';
import { startService, StartError } from './start-service.ts';

/** npm passes on what the terminal has sent to all: Ctrl-C comes twice, and is to count once. */
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

// A full disk, or a collector of logs that went away, costs lines and nothing else: unheard, the first would end us.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const starting = startService(process.env);

// From the first moment: what is told to stop while it starts would leave the embedded database running.
const stopping = closeWithGrace({ delay: 10_000, logger: false, skip: [...SIGNALS] }, async ({ err }) => {
  const service = await starting.catch(() => undefined);
  if (err)
    service?.logger.error('An error reached the top. The service stops.', {
      errorName: err.name,
      stack: err.stack?.split('\n').slice(1).join('\n'),
    });
  await service?.stop();
});

let told = false;
for (const signal of SIGNALS)
  process.on(signal, () => {
    if (!told) stopping.close();
    told = true;
  });

try {
  const { greeting } = await starting;
  process.stdout.write(`${greeting}\n`);
} catch (error) {
  const known = error instanceof ConfigError || error instanceof StartError;
  process.stderr.write(`${known ? error.message : `The service could not start: ${reasonOf(error)}`}\n`);
  process.exit(1);
}
