/** Opens everything that is sealed and names what does not decrypt, or is not what its row says. Exit status 1 then. */
import { print, usesOf, withKeyKeeper } from './vault-tools.ts';

await withKeyKeeper(async (keeper) => {
  const { checked, faults, keys } = await keeper.check();
  for (const fault of faults) print(`Does not decrypt: ${fault}.`);
  print(
    `Checked ${checked}: ${faults.length === 0 ? 'all decrypt' : `${faults.length} do not`}. ${usesOf(keys)}.`,
  );
  if (faults.length > 0) process.exitCode = 1;
});
