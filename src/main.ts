/** Starts the service and stops it gracefully. The only file with effects on import. */
import closeWithGrace from 'close-with-grace';
import { ConfigError } from './config.ts';
import { startService, StartError } from './start-service.ts';

try {
  const service = await startService(process.env);
  process.stdout.write(`${service.greeting}\n`);
  closeWithGrace({ delay: 10_000, logger: false }, async ({ err }) => {
    if (err)
      service.logger.error('An error reached the top. The service stops.', {
        errorName: err.name,
        stack: err.stack?.split('\n').slice(1).join('\n'),
      });
    await service.stop();
  });
} catch (error) {
  const known = error instanceof ConfigError || error instanceof StartError;
  process.stderr.write(
    `${known ? error.message : `The service could not start: ${error instanceof Error ? error.message : String(error)}`}\n`,
  );
  process.exit(1);
}
