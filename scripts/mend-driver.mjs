/**
 * Mends the database's driver in node_modules, postgres 3.4.9, after it is installed. There a connection that is lost keeps
 * what it was in the middle of, and takes it along when it connects anew: a statement that nobody answered counts as done
 * (a BEGIN, too, whose transaction is then none), an old refusal as the next statement's, and rows that had come leave holes
 * before the next result. One that is refused never comes back to the pool, and one that is used while it is closed ends the
 * process (porsager/postgres #1186, #1215). To be
 * taken away when a release has it; src/db/client.ts does not start on a driver that is not mended. Plain Node without
 * packages, as it runs when there are none yet.
 */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const VERSION = '3.4.9';
const driver = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules', 'postgres');

const MENDS = {
  'src/connection.js': [
    [
      `    } catch (e) {
      error(e)
      return
    }
    x.on('error', error)`,
      `    } catch (e) {
      errored(e)
      closedTime = performance.now()
      delay = (typeof backoff === 'function' ? backoff(options.shared.retries) : backoff) * 1000
      onclose(connection, e)
      return
    }
    x.on('error', error)`,
    ],
    [
      `    if (terminated)
      return queryError(q, Errors.connection('CONNECTION_DESTROYED', options))

    if (stream)`,
      `    if (terminated)
      return queryError(q, Errors.connection('CONNECTION_DESTROYED', options))

    if (!socket) {
      queryError(q, Errors.connection('CONNECTION_CLOSED', options))
      return true
    }

    if (stream)`,
    ],
    [
      `    socket = null

    if (initial)
      return reconnect()

    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
`,
      `    socket = null
    chunk = nextWriteTimer = null
    rows = 0

    if (initial)
      return reconnect()

    ;(query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
    query = results = errorResponse = null
    result = new Result()
`,
    ],
  ],
  'src/index.js': [
    [
      `Object.assign(Postgres, {
  PostgresError,`,
      `Object.assign(Postgres, {
  forgetsLostConnections: true,
  PostgresError,`,
    ],
  ],
};

/** Changes nothing where it is done. Throws where it cannot be. */
export function mendDriver() {
  const { version } = JSON.parse(readFileSync(join(driver, 'package.json'), 'utf8'));
  if (version !== VERSION)
    throw new Error(
      `scripts/mend-driver.mjs mends postgres ${VERSION}, and this is ${version}: look whether it still needs that.`,
    );
  for (const [name, mends] of Object.entries(MENDS)) {
    const path = join(driver, name);
    const found = readFileSync(path, 'utf8');
    const mended = mends.reduce((text, [from, to]) => replaced(text, from, to), found);
    if (mended === found) continue;
    // Never half written, and never through a hard link into somebody else's copy.
    const draft = `${path}.${process.pid}`;
    try {
      writeFileSync(draft, mended);
      renameSync(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
  }
}

function replaced(text, from, to) {
  if (text.includes(to)) return text;
  if (text.split(from).length !== 2) throw new Error('The driver is not what scripts/mend-driver.mjs knows.');
  return text.replace(from, () => to);
}

// As npm's "postinstall". Where only a part of the packages is installed, there may be no driver.
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href && existsSync(driver)) mendDriver();
