/**
 * Wraps every data key anew under the current master key, while the service runs; stop it and start it again as you like.
 * Exit status 1 when something does not decrypt, or remains under another key.
 */
import { print, usesOf, withKeyKeeper } from './vault-tools.ts';

await withKeyKeeper(async (keeper) => {
  print(`Before: ${usesOf(await keeper.remaining())}.`);
  const { rewrapped, faults, remaining } = await keeper.rotate((now) => print(usesOf(now)));
  for (const fault of faults) print(`Does not decrypt, and stays as it is: ${fault}.`);
  print(`Rewrapped ${rewrapped}. Now: ${usesOf(remaining)}.`);
  const left = remaining.some(({ current, count }) => !current && count > 0);
  if (!left) print('No value needs an older master key any more.');
  if (left || faults.length > 0) process.exitCode = 1;
});
