import type { Config } from '../config.ts';
import { DEMO_PASSWORD, DEMO_STAFF, memberEmail } from './people.ts';

/** What a start prints: where it is, who can sign in, and what to try. */
export function greetingFor({ url, demo, config }: { url: string; demo: boolean; config: Config }): string {
  const lines = ['', `Payout Service  ${url}`, `API docs        ${url}/docs`];
  if (!config.production && config.email.provider === 'outbox')
    lines.push(`E-mails         ${url}/dev/outbox`);
  if (!demo) return [...lines, ''].join('\n');
  return [
    ...lines,
    '',
    `Demo accounts (password ${DEMO_PASSWORD}):`,
    ...DEMO_STAFF.map(({ email, role }) => `  ${email.padEnd(24)}${role}`),
    `  ${`${memberEmail(1)} …`.padEnd(24)}members, in queue order`,
    '',
    'Try next: npm run demo   (in another terminal: one payout through its whole life)',
    '',
  ].join('\n');
}
