import { expect, it } from 'vitest';
import { REMOVAL_REASON, removalDateFor } from '../../src/membership/membership-rules.ts';

it.each([
  ['2026-11-20', '2027-11-20'],
  ['2024-02-29', '2025-02-28'],
  ['2026-12-31', '2027-12-31'],
])('completed on %s, the membership ends on %s', (completed, removal) => {
  expect(removalDateFor(completed)).toBe(removal);
});

it('says why as the document does', () => {
  expect(REMOVAL_REASON).toBe('12 months after payout');
});
