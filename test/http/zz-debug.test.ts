import { it } from 'vitest';
import { startCast, Stories } from '../support/stories.ts';
it('x', async () => {
  const cast = await startCast();
  await new Stories(cast).initiated();
  for (const q of ['to=9999-12-31', 'to=2030-01-01', 'from=2020-01-01']) {
    for (const p of ['/api/payouts', '/api/reports/audit-log']) {
    const a = await cast.viewer.get(p+'?' + q);
    console.log(p, q, a.status);}
  }
  console.log(cast.service.logLines.filter((l) => l.includes('"error"')).slice(0,2).join('\n'));
  await cast.service.stop();
});
