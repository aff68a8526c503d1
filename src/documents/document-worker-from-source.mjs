/** Starts the thread where the service runs from its source: a thread does not inherit what reads TypeScript. */
import { register } from 'tsx/esm/api';

register();
await import('./document-worker.ts');
