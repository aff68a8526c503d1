/**
 * Ids as one parameter, to be cast to an array: `ANY (${idList(userIds)}::uuid[])`. Not an array of the driver's: it would
 * ask the server about arrays at each new connection (client.ts, fetch_types). Ids have nothing in them that wants quotes.
 */
export const idList = (ids: readonly string[]): string => `{${ids.join(',')}}`;
