import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/kernel/canonical-json.ts';
import {
  chainKey,
  Milestones,
  NO_DIGEST,
  sealed,
  unsealed,
  type Checkpoint,
  type Head,
} from '../../src/audit/checkpoint-rules.ts';

const checkpoint = (number: number, heads: Head[]): Checkpoint => ({
  number,
  at: `2026-11-20T1${number}:00:00.000Z`,
  previous: NO_DIGEST,
  entries: 3,
  chains: 2,
  horizon: '77',
  heads,
});
const sign = () => ({ keyId: 'k', signature: 's' });

describe('a checkpoint in its file', () => {
  const made = checkpoint(1, [['payout', 'PO-1', 2, 'h2']]);
  const first = canonicalJson(made);
  const second = '{"keyId":"k","signature":"s"}';

  it('is what was signed, sorted, on one line, and the signature on the next', () => {
    expect(NO_DIGEST).toMatch(/^0{64}$/);
    const { file, digest } = sealed(made, sign);
    expect(file.toString('utf8')).toBe(`${first}\n${second}\n`);
    expect(digest).toBe(createHash('sha256').update(first).digest('hex'));
  });

  it('is read as it was written', () => {
    const { file, digest } = sealed(made, sign);
    expect(unsealed(file)).toEqual({
      checkpoint: made,
      digest,
      signed: Buffer.from(first),
      keyId: 'k',
      signature: 's',
    });
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['one line', first],
    ['no JSON', 'x\ny\n'],
    ['no signature', `${first}\n\n`],
    ['no number', `{"heads":[]}\n${second}\n`],
    ['a broken number', `{"number":1.5,"heads":[]}\n${second}\n`],
    ['no heads', `{"number":1,"heads":{}}\n${second}\n`],
  ])('is none when it is %s', (_what, text) => {
    expect(unsealed(Buffer.from(text))).toBeNull();
  });
});

describe('milestones', () => {
  const milestones = new Milestones();

  it('are none before the first checkpoint', () => {
    expect(milestones.last).toBeNull();
    expect(milestones.entries).toBe(0);
    expect(milestones.of('payout', 'PO-1')).toEqual([]);
    expect([...milestones.chains()]).toEqual([]);
  });

  it('are every head that a checkpoint saw moved, once', () => {
    milestones.add(checkpoint(1, [['payout', 'PO-1', 2, 'h2'], ['job', 'a', 1, 'j1']])); // prettier-ignore
    milestones.add(checkpoint(2, [['payout', 'PO-1', 2, 'h2'], ['job', 'a', 2, 'j2']])); // prettier-ignore
    milestones.add(checkpoint(3, [['job', 'a', 2, 'forged']]));
    expect(milestones.last).toEqual({ number: 3, at: '2026-11-20T13:00:00.000Z' });
    expect(milestones.of('payout', 'PO-1')).toEqual([{ length: 2, hash: 'h2', checkpoint: 1 }]);
    expect(milestones.of('job', 'a')).toEqual([
      { length: 1, hash: 'j1', checkpoint: 1 },
      { length: 2, hash: 'j2', checkpoint: 2 },
      { length: 2, hash: 'forged', checkpoint: 3 },
    ]);
    expect(milestones.entries).toBe(4);
    expect([...milestones.chains()].map(({ entityType, entityId }) => [entityType, entityId])).toEqual([
      ['payout', 'PO-1'],
      ['job', 'a'],
    ]);
  });

  it('tell chains apart whose names run together', () => {
    expect(chainKey('a', 'bc')).not.toBe(chainKey('ab', 'c'));
  });
});
