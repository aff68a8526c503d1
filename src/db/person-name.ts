import { sql, type SQL } from 'drizzle-orm';

/**
 * What the main app calls somebody: first, middle and last name, or the one name that Better Auth keeps, where the table
 * has it; null where there is nothing. `person` is the row of `users`, by its name in the statement.
 */
export const personName = (person: SQL = sql`users`): SQL<string | null> => sql`coalesce(
  nullif(concat_ws(' ', nullif(btrim(${person}.first_name), ''), nullif(btrim(${person}.middle_name), ''),
                   nullif(btrim(${person}.last_name), '')), ''),
  nullif(btrim(to_jsonb(${person}) ->> 'name'), ''))`;
