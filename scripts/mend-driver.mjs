/**
 * Mends the database's driver in node_modules, postgres 3.4.9, after it is installed. There a connection that is lost keeps
 * what it was in the middle of, and takes it along when it connects anew: a statement that nobody answered counts as done
 * (a BEGIN, too, whose transaction is then none), an old refusal as the next statement's, and rows that had come leave holes
 * before the next result (porsager/postgres #1186, #1215). The rest stands at each place. To be taken away when a release
 * has it: test/db/mended-driver.test.ts tells. src/db/client.ts takes no driver that is not mended. Plain Node without
 * packages, as it runs when there are none yet.
 */
import {
  chmodSync,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const VERSION = '3.4.9';
const driver = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules', 'postgres');

/** What each file has, and is to have in its place. */
const MENDS = {
  'src/connection.js': [
    // A connection that is refused is closed, and waits its turn like any other.
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
    // Nothing is sent where no connection is.
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
    // A BEGIN has its connection to itself, however many statements are on their way there; what cannot be sent fails by itself.
    [
      `      return write(toBuffer(q))
        && !q.describeFirst
        && !q.cursorFn
        && sent.length < max_pipeline
        && (!q.options.onexecute || q.options.onexecute(connection))
    } catch (error) {
      sent.length === 0 && write(Sync)
      errored(error)
      return true
    }`,
      `      const ready = write(toBuffer(q))
        && !q.describeFirst
        && !q.cursorFn
        && sent.length < max_pipeline
      return q.options.onexecute
        ? q.options.onexecute(connection)
        : ready
    } catch (error) {
      query === q
        ? (sent.length === 0 && write(Sync), errored(error))
        : (sent.remove(q), queryError(q, error))
      return true
    }`,
    ],
    // Who has been told to end meanwhile does not connect any more.
    [
      `  async function connect() {
    terminated = false`,
      `  async function connect() {
    if (!initial && !cancelMessage)
      return

    terminated = false`,
    ],
    [
      `    if (!socket)
      return

    connectTimer.start()`,
      `    if (!socket)
      return

    if (!initial && !cancelMessage)
      return socket.destroy()

    connectTimer.start()`,
    ],
    // Our sockets have tried every host already (src/db/database-sockets.ts).
    [
      `    if (connection.queue === queues.connecting && options.host[retries + 1])`,
      `    if (!options.socket && connection.queue === queues.connecting && options.host[retries + 1])`,
    ],
    // What was under way has failed, whatever the end was called, and is forgotten.
    [
      `    socket = null

    if (initial)
      return reconnect()

    !hadError && (query || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
`,
      `    socket = null
    chunk = nextWriteTimer = null
    rows = 0

    if (initial && !options.socket)
      return reconnect()

    ;(query || initial || sent.length) && error(Errors.connection('CONNECTION_CLOSED', options, socket))
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
      chmodSync(draft, statSync(path).mode);
      renameSync(draft, path);
    } finally {
      rmSync(draft, { force: true });
    }
  }
}

function replaced(text, from, to) {
  if (text.includes(to)) return text;
  if (text.split(from).length !== 2)
    throw new Error('The driver is not what scripts/mend-driver.mjs knows. Run "npm ci".');
  return text.replace(from, () => to);
}

// As npm's "postinstall". Where only a part of the packages is installed, there may be no driver.
const started = process.argv[1] && pathToFileURL(realpathSync(process.argv[1])).href;
if (started === import.meta.url && existsSync(driver)) mendDriver();
