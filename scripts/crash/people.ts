/** The people of the crash test, put into the main app's tables as the main app would. */
import { randomUUID } from 'node:crypto';
import { hashPassword } from 'better-auth/crypto';
import type postgres from 'postgres';

const PASSWORD = 'correct-horse-battery';
const STAFF = {
  admin: 'admin',
  admin2: 'admin',
  finance: 'finance_manager',
  finance2: 'finance_manager',
} as const;
const DAY_MS = 86_400_000;
/** All have the same, so that answers to one can be compared with answers to another. */
export const MEMBER_NAME = 'Grace Hopper';

export type StaffName = keyof typeof STAFF;
export interface Person {
  userId: string;
  token: string;
}

export class People {
  readonly #sql: postgres.Sql;
  readonly #signInUrl: () => string;
  #password = '';
  #count = 0;

  /** `signInUrl` is asked for each time: the service there may be another one by then. */
  constructor(sql: postgres.Sql, signInUrl: () => string) {
    this.#sql = sql;
    this.#signInUrl = signInUrl;
  }

  async hireStaff(): Promise<Record<StaffName, Person>> {
    this.#password = await hashPassword(PASSWORD);
    const hired = {} as Record<StaffName, Person>;
    for (const [name, role] of Object.entries(STAFF) as [StaffName, string][]) {
      const { userId, email } = await this.#insert('Staff', name);
      await this.#sql`INSERT INTO admin_users (user_id, role) VALUES (${userId}, ${role})`;
      hired[name] = await this.#signIn(userId, email);
    }
    return hired;
  }

  /** Somebody who can win. */
  async newMember(): Promise<Person> {
    const [firstName = '', lastName = ''] = MEMBER_NAME.split(' ');
    const { userId, email } = await this.#insert(firstName, lastName);
    const start = Date.now() - 400 * DAY_MS + this.#count * 60_000;
    const payments = Array.from({ length: 12 }, (_, month) => ({
      user_id: userId,
      amount: '100.00',
      status: 'succeeded',
      created_at: new Date(start + month * 30 * DAY_MS),
    }));
    await this.#sql`INSERT INTO user_payments ${this.#sql(payments)}`;
    await this.#sql`INSERT INTO user_subscriptions (user_id, status) VALUES (${userId}, 'active')`;
    await this.#sql`INSERT INTO kyc_verification (user_id, status, legal_name, verified_at)
      VALUES (${userId}, 'verified', ${MEMBER_NAME}, now())`;
    await this.#sql`INSERT INTO user_addresses (user_id, line1, city, state, postal_code, is_primary)
      VALUES (${userId}, '1 Main Street', 'Springfield', 'IL', '62701', true)`;
    return this.#signIn(userId, email);
  }

  /** Brings in revenue for that many payouts, from somebody who is in no queue. */
  async fund(payouts: number): Promise<void> {
    const { userId } = await this.#insert('Revenue', 'Source');
    await this.#sql`INSERT INTO user_payments (user_id, amount, status)
      VALUES (${userId}, ${`${payouts * 100_000}.00`}, 'succeeded')`;
  }

  /** A session beside those that the person has. */
  async signInAgain({ userId }: Person): Promise<Person> {
    const [row] = await this.#sql<{ email: string }[]>`SELECT email FROM users WHERE id = ${userId}`;
    return this.#signIn(userId, row?.email ?? '');
  }

  async #insert(firstName: string, lastName: string): Promise<{ userId: string; email: string }> {
    this.#count += 1;
    const userId = randomUUID();
    const email = `person${this.#count}@example.com`;
    await this.#sql`INSERT INTO users (id, email, name, first_name, last_name)
      VALUES (${userId}, ${email}, ${`${firstName} ${lastName}`}, ${firstName}, ${lastName})`;
    await this.#sql`INSERT INTO accounts (user_id, account_id, provider_id, password)
      VALUES (${userId}, ${userId}, 'credential', ${this.#password})`;
    return { userId, email };
  }

  async #signIn(userId: string, email: string): Promise<Person> {
    const answer = await fetch(`${this.#signInUrl()}/api/auth/sign-in/email`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password: PASSWORD }),
    });
    const token = answer.headers.get('set-auth-token');
    if (token === null)
      throw new Error(`${email} could not sign in: ${answer.status} ${await answer.text()}`);
    return { userId, token };
  }
}
