import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Caller } from '../support/caller.ts';
import { startTestService, type TestService } from '../support/test-service.ts';
import { Wire } from '../support/wire.ts';

/** Lets so much time pass by the clock that tells how long an answer is remembered. */
const realNow = performance.now.bind(performance);
function letPass(ms: number): void {
  const aheadMs = performance.now() - realNow() + ms;
  vi.spyOn(performance, 'now').mockImplementation(() => realNow() + aheadMs);
}
afterEach(() => vi.restoreAllMocks());

let service: TestService;
let viewer: Caller;
let member: Caller;
beforeAll(async () => {
  service = await startTestService();
  viewer = await service.newStaff('viewer');
  member = await service.newMember();
});
afterAll(() => service.stop());

/** Other instances on the same database, each with nothing remembered. */
const fresh = async <T>(work: (instance: TestService) => Promise<T>): Promise<T> => {
  const instance = await startTestService({ beside: service });
  try {
    return await work(instance);
  } finally {
    await instance.stop();
  }
};

describe('/health', () => {
  it('has the form of the design document', async () => {
    const { status, headers, body } = await service.stranger.get('/health');
    expect(status).toBe(200);
    expect(body).toEqual({
      status: 'healthy',
      timestamp: '2026-11-20T12:00:00.000Z',
      checks: { database: 'up', email: 'up', scheduler: 'stopped' },
    });
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('content-type')).toMatch(/^application\/json/);
  });

  it('is degraded, and still 200, while no mail can be sent', async () => {
    const isUp = service.mailer.isUp.bind(service.mailer);
    service.mailer.isUp = () => Promise.resolve(false);
    try {
      await fresh(async ({ stranger }) => {
        const { status, body } = await stranger.get('/health');
        expect(status).toBe(200);
        expect(body).toMatchObject({ status: 'degraded', checks: { database: 'up', email: 'down' } });
        expect((await stranger.get('/ready')).status).toBe(200);
      });
      service.mailer.isUp = () => Promise.reject(new Error('smtp://user:secret@mail.example.com refused'));
      await fresh(async (instance) => {
        const { body } = await instance.stranger.get('/health');
        expect(body.checks.email).toBe('down');
        expect(JSON.stringify(body)).not.toContain('secret');
        expect(instance.logLines.join('')).not.toContain('secret');
      });
    } finally {
      service.mailer.isUp = isUp;
    }
  });

  it('waits for nothing longer than two seconds', async () => {
    const isUp = service.mailer.isUp.bind(service.mailer);
    service.mailer.isUp = () => new Promise(() => {});
    try {
      await fresh(async ({ stranger }) => {
        const startedAt = performance.now();
        const { body } = await stranger.get('/health');
        expect(performance.now() - startedAt).toBeLessThan(4000);
        expect(body).toMatchObject({ status: 'degraded', checks: { email: 'down' } });
      });
    } finally {
      service.mailer.isUp = isUp;
    }
  });

  it('asks the database once for many callers', async () => {
    await fresh(async (instance) => {
      const isUp = service.mailer.isUp.bind(service.mailer);
      let asked = 0;
      service.mailer.isUp = () => {
        asked += 1;
        return isUp();
      };
      try {
        const answers = await Promise.all(Array.from({ length: 20 }, () => instance.stranger.get('/health')));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
        expect(asked).toBe(1);
      } finally {
        service.mailer.isUp = isUp;
      }
    });
  });

  it('asks nobody who they are', async () => {
    const answer = await service.stranger.get('/health', { authorization: 'Bearer nonsense', cookie: 'x=y' });
    expect(answer.status).toBe(200);
  });
});

describe('/ready', () => {
  it('has the form of the design document', async () => {
    const { status, headers, body } = await service.stranger.get('/ready');
    expect(status).toBe(200);
    expect(body).toEqual({ ready: true, services: { database: true, migrations: true } });
    expect(headers.get('cache-control')).toBe('no-store');
  });

  const faultsFor = async (instance: TestService, caller: Caller) => {
    const { status, body } = await instance.stranger.get('/ready', {
      authorization: `Bearer ${caller.token}`,
    });
    return { status, body };
  };
  const notReady = { ready: false, services: { database: true, migrations: false } };

  /** Breaks the shared schema, looks through a fresh instance, and mends it again. */
  async function whileBroken(
    breakIt: string,
    mendIt: string,
    look: (instance: TestService) => Promise<void>,
  ) {
    await service.sql.unsafe(breakIt);
    try {
      await fresh(look);
    } finally {
      await service.sql.unsafe(mendIt);
    }
    await fresh(async ({ stranger }) => expect((await stranger.get('/ready')).status).toBe(200));
  }

  it('is false without a shared column, and names it to staff and the log alone', async () => {
    await whileBroken(
      'ALTER TABLE user_addresses RENAME COLUMN postal_code TO zip',
      'ALTER TABLE user_addresses RENAME COLUMN zip TO postal_code',
      async (instance) => {
        expect(await faultsFor(instance, viewer)).toEqual({
          status: 503,
          body: { ...notReady, faults: ['user_addresses.postal_code is missing'] },
        });
        for (const caller of [member, instance.stranger]) {
          expect(await faultsFor(instance, caller)).toEqual({ status: 503, body: notReady });
        }
        const logged = instance.logLines.map((line) => JSON.parse(line));
        expect(logged).toContainEqual(
          expect.objectContaining({
            level: 'error',
            reason: expect.stringContaining('user_addresses.postal_code is missing'),
          }),
        );
      },
    );
  });

  it('is false with a column of another type', async () => {
    await whileBroken(
      'ALTER TABLE kyc_verification ALTER COLUMN legal_name TYPE jsonb USING to_jsonb(legal_name)',
      "ALTER TABLE kyc_verification ALTER COLUMN legal_name TYPE text USING legal_name #>> '{}'",
      async (instance) => {
        const { status, body } = await faultsFor(instance, viewer);
        expect(status).toBe(503);
        expect(body.faults).toEqual(['kyc_verification.legal_name is jsonb, not text']);
      },
    );
  });

  it('is false without a shared table, and names what is gone', async () => {
    await whileBroken(
      'ALTER TABLE kyc_verification RENAME TO kyc_gone',
      'ALTER TABLE kyc_gone RENAME TO kyc_verification',
      async (instance) => {
        const { status, body } = await faultsFor(instance, viewer);
        expect(status).toBe(503);
        expect(body.faults).toContain('kyc_verification.status is missing');
        expect(body.faults).toContain('kyc_verification.legal_name is missing');
      },
    );
  });

  it('takes a text column that the main app declared with a length', async () => {
    await service.sql`ALTER TABLE user_addresses ALTER COLUMN city TYPE varchar(100)`;
    await service.sql`ALTER TABLE users ADD COLUMN something_of_the_main_app integer`;
    await fresh(async ({ stranger }) => expect((await stranger.get('/ready')).status).toBe(200));
  });

  it('does not look again within seconds, and does after', async () => {
    await fresh(async (instance) => {
      const statuses: number[] = [];
      const look = async () => statuses.push((await instance.stranger.get('/ready')).status);
      await look();
      await service.sql`ALTER TABLE user_payments RENAME COLUMN currency TO coin`;
      try {
        await look();
        letPass(2500);
        await look();
        letPass(1000);
        await look();
      } finally {
        await service.sql`ALTER TABLE user_payments RENAME COLUMN coin TO currency`;
      }
      expect(statuses).toEqual([200, 200, 200, 503]);
    });
  });
});

describe('without the database', () => {
  async function behindAWire(work: (instance: TestService, wire: Wire) => Promise<void>): Promise<void> {
    const { wire, instance } = await Wire.toInstance(service);
    try {
      await work(instance, wire);
    } finally {
      await wire.cut();
      await instance.stop();
    }
  }

  const look = async (instance: TestService) => {
    const [health, ready] = [await instance.stranger.get('/health'), await instance.stranger.get('/ready')];
    expect(health.status).toBe(503);
    expect(health.body).toEqual({
      status: 'unhealthy',
      timestamp: '2026-11-20T12:00:00.000Z',
      checks: { database: 'down', email: 'up', scheduler: 'stopped' },
    });
    expect(ready.status).toBe(503);
    expect(ready.body).toEqual({ ready: false, services: { database: false, migrations: false } });
    const text = instance.logLines.join('');
    expect(text).toContain('The database does not answer.');
    expect(text).not.toContain(new URL(service.databaseUrl).password || 'postgres://');
  };

  it('is unhealthy and not ready', () =>
    behindAWire(async (instance, wire) => {
      await wire.cut();
      await look(instance);
      // Who asks cannot be told without the database: also staff learn nothing, but get an answer.
      const answer = await instance.stranger.get('/ready', { authorization: `Bearer ${viewer.token}` });
      expect(answer.status).toBe(503);
      expect(answer.body).not.toHaveProperty('faults');
    }));

  it('says so within seconds when the database takes calls and never answers', () =>
    behindAWire(async (instance, wire) => {
      expect((await instance.stranger.get('/health')).status).toBe(200);
      wire.refuse('none');
      letPass(3500);
      const startedAt = performance.now();
      await look(instance);
      expect(performance.now() - startedAt).toBeLessThan(6000);
      // Nobody who probes with a token waits for a session that cannot be read.
      const askedAt = performance.now();
      const answer = await instance.stranger.get('/ready', { authorization: `Bearer ${viewer.token}` });
      expect(answer.status).toBe(503);
      expect(performance.now() - askedAt).toBeLessThan(4000);
    }));
});
