/** Stands in for the main app and the subscription service, with their rights in the database and their token. */
import { SignJWT } from 'jose';
import postgres from 'postgres';
import { ownerDatabase } from '../db-urls.ts';

export interface MainApp {
  takePayment(userId: string, at: Date): Promise<void>;
  /** Returns the answer's status. */
  reportReturn(url: string, userId: string, paymentDate: string): Promise<number>;
  close(): Promise<void>;
}

export async function openMainApp(): Promise<MainApp> {
  const { url: databaseUrl, config, close } = await ownerDatabase();
  const sql = postgres(databaseUrl, {
    max: 1,
    onnotice: () => {},
    connection: { role: 'payout_main_app' },
  });
  return {
    async takePayment(userId, at) {
      await sql`INSERT INTO user_subscriptions (user_id, status, created_at) VALUES (${userId}, 'active', ${at})`;
      await sql`INSERT INTO user_payments (user_id, amount, status, created_at)
        VALUES (${userId}, '450.00', 'succeeded', ${at})`;
    },
    async reportReturn(url, userId, paymentDate) {
      const token = await new SignJWT({ scope: 'membership:reactivate' })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('subscription-service')
        .setAudience('payout-service')
        .setIssuedAt()
        .sign(new TextEncoder().encode(config.jwt.secret));
      const answer = await fetch(`${url}/api/members/${userId}/reactivate`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ paymentDate }),
      });
      return answer.status;
    },
    async close() {
      await sql.end();
      await close();
    },
  };
}
