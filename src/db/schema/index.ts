export * from './shared.ts';
export * from './payouts.ts';
export * from './payments.ts';
export * from './tax.ts';
export * from './operations.ts';
export * from './queue.ts';
