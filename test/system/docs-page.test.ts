import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/kernel/errors.ts';
import { ROOT, programAt, run } from './programs.ts';
import { makeFolder, removeFolder, serveHere } from './service-process.ts';

let service: Awaited<ReturnType<typeof serveHere>>;
let folder: string;

beforeAll(async () => {
  folder = await makeFolder();
  service = await serveHere(ROOT);
});

afterAll(async () => {
  await service.stop();
  await removeFolder(folder);
});

interface Visit {
  /** The page as it is after its scripts have run. */
  dom: string;
  /** What the console of the browser says; violations of the Content-Security-Policy stand there. */
  complaints: string[];
}

/** Opens the page in a browser. */
async function visit(url: string): Promise<Visit> {
  const { code, stdout, stderr } = await run(
    programAt(['/usr/bin/chromium', '/usr/bin/chromium-browser'], 'the package chromium'),
    [
      '--headless',
      '--disable-gpu',
      '--no-first-run',
      '--disable-dev-shm-usage',
      // Chromium does not start as root in its sandbox; the page is our own.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      `--user-data-dir=${join(folder, 'profile')}`,
      '--enable-logging=stderr',
      '--virtual-time-budget=10000',
      '--dump-dom',
      url,
    ],
    { env: { HOME: folder } },
  );
  if (code !== 0) throw new Error(`Chromium ended with ${code}:\n${stderr}`);
  return { dom: stdout, complaints: stderr.split('\n').filter((line) => /:CONSOLE[:(]/.test(line)) };
}

it('shows every route at /docs, and the browser has nothing to complain about', async () => {
  const { dom, complaints } = await visit(`${service.url}/docs`);
  expect(complaints).toEqual([]);
  expect(dom).toContain('Approve a payout');
  expect(dom.match(/class="opblock /g)?.length).toBeGreaterThan(30);
});

it('explains every error code at /docs/errors, and the browser has nothing to complain about', async () => {
  const { dom, complaints } = await visit(`${service.url}/docs/errors`);
  expect(complaints).toEqual([]);
  for (const code of ERROR_CODES) expect(dom).toContain(`id="${code}"`);
});

it('would see a violation of the policy and an error', async () => {
  const server = await pageWith('<script>violates()</script><script src="/throws.js"></script>');
  const { port } = server.address() as AddressInfo;
  const { complaints } = await visit(`http://127.0.0.1:${port}/`);
  await new Promise((done) => server.close(done));
  expect(complaints.join('\n')).toMatch(/Content Security Policy/);
  expect(complaints.join('\n')).toMatch(/Uncaught/);
});

async function pageWith(body: string): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/throws.js')
      return response.setHeader('content-type', 'text/javascript').end('throw new Error("thrown")');
    return response
      .setHeader('content-type', 'text/html')
      .setHeader('content-security-policy', "default-src 'self'")
      .end(`<!doctype html><title>Page</title>${body}`);
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server;
}
