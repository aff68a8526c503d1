/** Dockerfile and compose.yml, as far as that goes without an engine: what they name is there, and fits together. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../src/config.ts';

interface Service {
  image?: string;
  build?: string;
  depends_on?: Record<string, { condition: string }>;
  environment?: Record<string, string>;
  ports?: string[];
  volumes?: string[];
  tmpfs?: string[];
  healthcheck?: { test: string[] };
  read_only?: boolean;
  stop_grace_period?: string;
}

const file = (name: string) => readFileSync(resolve(import.meta.dirname, '..', name), 'utf8');
// A key that is given twice is an error to the parser.
const compose = parse(file('compose.yml'), { strict: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, unknown>;
};
const { services } = compose;
const entries = Object.entries(services);
const ours = services['service'] ?? {};
const dockerfile = file('Dockerfile').replaceAll(/\\\n/g, ' ');
const imageEnv = Object.fromEntries(
  [...dockerfile.matchAll(/^ENV (.+)$/gm)].flatMap(([, line = '']) =>
    line.split(' ').map((pair) => pair.split('=') as [string, string]),
  ),
);
/** Where the images listen. */
const PORTS: Record<string, number[]> = { database: [5432], redis: [6379], mail: [1025, 8025] };

it('compose.yml uses only keys that the Compose Specification has', () => {
  const known = new Set(
    'image build depends_on environment ports volumes tmpfs healthcheck read_only cap_drop security_opt stop_grace_period command'.split(
      ' ',
    ),
  );
  expect(Object.keys(compose).toSorted()).toEqual(['services', 'volumes']);
  for (const [name, service] of entries)
    expect(
      Object.keys(service).filter((key) => !known.has(key)),
      name,
    ).toEqual([]);
});

it('names images by version, and volumes and services that are there', () => {
  for (const [name, { image, build, depends_on = {}, volumes = [] }] of entries) {
    if (build === undefined) expect(image, name).toMatch(/:v?\d+\.\d+/);
    for (const [other, { condition }] of Object.entries(depends_on)) {
      expect(Object.keys(services), name).toContain(other);
      if (condition === 'service_healthy') expect(services[other]?.healthcheck?.test[0], other).toBe('CMD');
    }
    for (const volume of volumes) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
  }
});

it('gives the service settings that it knows and takes, and addresses that the others have', () => {
  const environment = ours.environment ?? {};
  const example = file('.env.example');
  for (const name of Object.keys(environment)) expect(example, name).toMatch(new RegExp(`^# ${name}=`, 'm'));
  const folder = mkdtempSync(join(tmpdir(), 'payout-service-compose.'));
  try {
    const config = loadConfig({ ...imageEnv, ...environment, DATA_DIR: folder });
    expect([config.host, config.production]).toEqual(['0.0.0.0', false]);
    expect(config.metrics).toMatchObject({ enabled: true, port: 9464 });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const addresses = Object.values(environment).filter((value) => value.includes('://'));
  expect(addresses).toHaveLength(3);
  for (const { hostname, port } of addresses.map((value) => new URL(value)))
    expect(PORTS[hostname], hostname).toContain(Number(port));
  const owner = new URL(environment['DATABASE_URL'] ?? '');
  expect(services['database']?.environment).toEqual({
    POSTGRES_USER: owner.username,
    POSTGRES_PASSWORD: owner.password,
    POSTGRES_DB: owner.pathname.slice(1),
  });
});

it('publishes on this machine alone, where somebody listens', () => {
  for (const [name, { ports = [] }] of entries)
    for (const published of ports) {
      const [host, , inside] = published.split(':');
      expect(host, name).toBe('127.0.0.1');
      const listening = name === 'service' ? [Number(imageEnv['PORT'])] : (PORTS[name] ?? []);
      expect(listening, name).toContain(Number(inside));
    }
  expect(dockerfile).toMatch(new RegExp(`^EXPOSE ${imageEnv['PORT']}$`, 'm'));
});

it('lets the service write its data folder and nothing else, and end in its own time', () => {
  expect(ours.read_only).toBe(true);
  const writable = (ours.tmpfs ?? []).map((mount) => mount.split(':')[0] ?? '');
  expect(writable).toContain(ours.environment?.['DATA_DIR']);
  expect(writable).toContain('/tmp');
  // The image's own folder, for whoever runs it without compose.yml.
  expect(imageEnv['DATA_DIR']).toMatch(/^\/tmp\//);
  expect(Number.parseInt(ours.stop_grace_period ?? '', 10)).toBeGreaterThan(10);
  expect(dockerfile).toMatch(/^STOPSIGNAL SIGTERM$/m);
  expect(dockerfile).toMatch(/^HEALTHCHECK .*CMD \[.*\/health/m);
});
