/** How long the subscription service is left alone after too many failures. */
export const PAUSE_MS = 30_000;

/** The service refused the request itself: nothing was done, and the same request will not do better in a second. */
export class SubscriptionRefused extends Error {}

/** After too many failures nothing is asked for a while. */
export class SubscriptionPaused extends Error {
  constructor() {
    super('The subscription service has failed too often and is left alone for a while.');
  }
}
