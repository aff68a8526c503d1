import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ROOT, run } from './programs.ts';
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

it('the service describes itself without an error or a warning of redocly', async () => {
  const document = (await (await fetch(`${service.url}/openapi.json`)).json()) as {
    openapi: string;
    paths: Record<string, unknown>;
    servers: { url: string }[];
  };
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(Object.keys(document.paths)).toContain('/api/payouts/{id}/approve');
  // The address of a development machine, which redocly warns about, says nothing about the document.
  const [server] = document.servers;
  if (server) server.url = 'https://payouts.example.org';
  expect(await lint(document)).toEqual({
    code: 0,
    problems: [],
    totals: { errors: 0, warnings: 0, ignored: 0 },
  });

  const bad = await lint({ ...document, paths: { ...document.paths, '/nothing': { get: {} } } });
  expect(bad.code).toBe(1);
  expect(bad.problems.join()).toContain('operation-summary');
});

interface Report {
  code: number | null;
  problems: string[];
  totals: Record<string, number>;
}

async function lint(document: unknown): Promise<Report> {
  const file = join(folder, 'openapi.json');
  writeFileSync(file, JSON.stringify(document));
  const { code, stdout, stderr } = await run(
    join(ROOT, 'node_modules/.bin/redocly'),
    ['lint', '--format=json', '--config', join(ROOT, 'redocly.yaml'), file],
    { env: { REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' } },
  );
  const start = stdout.indexOf('{');
  if (start < 0) throw new Error(`redocly said no JSON:\n${stdout}${stderr}`);
  const { problems, totals } = JSON.parse(stdout.slice(start)) as {
    problems: { ruleId: string; message: string }[];
    totals: Record<string, number>;
  };
  return { code, problems: problems.map(({ ruleId, message }) => `${ruleId}: ${message}`), totals };
}
