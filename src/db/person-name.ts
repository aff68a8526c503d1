import { sql, type SQL } from 'drizzle-orm';

/**
 * What the main app calls somebody: first, middle and last name, or the one name that Better Auth keeps, where the table
 * has it; null where there is nothing. `person` is the row of `users`, by its name in the statement.
 */
export const personName = (person: SQL = sql`users`): SQL<string | null> => sql`CASE
  WHEN btrim(concat(${person}.first_name, ${person}.middle_name, ${person}.last_name)) <> ''
  THEN concat_ws(' ', ${person}.first_name, ${person}.middle_name, ${person}.last_name)
  ELSE nullif(btrim(to_jsonb(${person}) ->> 'name'), '') END`;
