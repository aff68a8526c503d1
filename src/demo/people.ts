/** The people of the demo data. */
import type { StaffRole } from '../kernel/actor.ts';

export const DEMO_PASSWORD = 'demo-password-1234';
const DEMO_MEMBERS = 200;

export const DEMO_STAFF: readonly { email: string; role: StaffRole; firstName: string; lastName: string }[] =
  [
    { email: 'admin@example.com', role: 'admin', firstName: 'Alex', lastName: 'Admin' },
    { email: 'admin2@example.com', role: 'admin', firstName: 'Bela', lastName: 'Admin' },
    { email: 'finance@example.com', role: 'finance_manager', firstName: 'Farah', lastName: 'Finance' },
    { email: 'finance2@example.com', role: 'finance_manager', firstName: 'Fabio', lastName: 'Finance' },
    { email: 'viewer@example.com', role: 'viewer', firstName: 'Vera', lastName: 'Viewer' },
  ];

const FIRST = [
  'Ada',
  'Łukasz',
  'Grace',
  'Thị Ánh',
  'Noor',
  'Jürgen',
  'Zoë',
  'Mateo',
  'Ingrid',
  'Kwame',
  'Sinéad',
  'Yuki',
  'Olga',
];
const LAST = [
  'Albright',
  'Nuñez-Öztürk',
  'Hopper',
  'Nguyễn',
  'Haddad',
  'Groß',
  'Lindqvist',
  'García',
  'Mensah',
  "O'Brien",
  'Tanaka',
];

export const memberEmail = (number: number): string => `member${String(number).padStart(4, '0')}@example.com`;

export interface DemoMember {
  number: number;
  email: string;
  firstName: string;
  lastName: string;
  payments: number;
  subscription: 'active' | 'trialing' | 'canceled';
  kyc: 'verified' | 'pending' | 'rejected';
}

/** The members in queue order: 36 payments down to 1, and from the 41st on a mix of what can be wrong. */
export function demoMembers(): DemoMember[] {
  return Array.from({ length: DEMO_MEMBERS }, (_, index) => {
    const number = index + 1;
    const mixed = number > 40;
    return {
      number,
      email: memberEmail(number),
      firstName: FIRST[index % FIRST.length] ?? 'Ada',
      lastName: LAST[index % LAST.length] ?? 'Albright',
      payments: 36 - Math.floor((index * 36) / DEMO_MEMBERS),
      subscription:
        mixed && number % 17 === 0 ? 'canceled' : mixed && number % 9 === 0 ? 'trialing' : 'active',
      kyc: mixed && number % 7 === 0 ? 'pending' : mixed && number % 11 === 0 ? 'rejected' : 'verified',
    };
  });
}
