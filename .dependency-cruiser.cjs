/** The import rules of the house; CONTRIBUTING.md says why. `npm run imports` holds src to them, types included. */
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

/** What writes inside a transaction, or reads the main app's tables, without being a store. */
const DRIZZLE_USERS = [
  'alerts/raise-alert',
  'audit/audit-archive',
  'audit/record-audit',
  'crypto/record-reveal',
  'demo/demo-clock',
  'demo/seed',
  'membership/subscription-gateway',
  'notifications/mail-queue',
  'notifications/outbox',
  'payouts/delay-watch',
  'payouts/payout-requirements',
  'payouts/record-attempt',
];

/** The files of features whose classes services.ts builds. Rules are pure, and anybody may use them. */
function serviceFiles() {
  const text = readFileSync(join(__dirname, 'src/services.ts'), 'utf8');
  const built = new Set([...text.matchAll(/\bnew (\w+)\(/g)].map(([, name]) => name));
  const imports = [...text.matchAll(/^import \{([^}]*)\} from '\.\/([^']+)';/gm)];
  const files = imports.filter(([, names]) => names.split(',').some((name) => built.has(name.trim())));
  const paths = files.map(([, , path]) => path).filter((path) => !path.endsWith('-rules.ts'));
  if (paths.length === 0)
    throw new Error('No class is built in src/services.ts: mend .dependency-cruiser.cjs.');
  return paths;
}

const exactly = (paths) => `^src/(${paths.map((path) => path.replaceAll('.', '[.]')).join('|')})$`;

module.exports = {
  forbidden: [
    {
      name: 'no-circle-of-files',
      comment: 'Two files that import each other are one file, or lack a third.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'no-circle-of-folders',
      comment: 'Arrows between folders run one way.',
      severity: 'error',
      scope: 'folder',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'kernel-stands-alone',
      comment: 'Everything may use the kernel, so the kernel uses nothing of ours.',
      severity: 'error',
      from: { path: '^src/kernel/' },
      to: { path: '^src/', pathNot: '^src/kernel/' },
    },
    {
      name: 'db-knows-only-the-kernel',
      comment: 'Tables and connections know no feature.',
      severity: 'error',
      from: { path: '^src/db/' },
      to: { path: '^src/', pathNot: '^src/(db|kernel)/' },
    },
    {
      name: 'stores-are-private',
      comment: 'Other folders ask the service, or what writes in the transaction for everybody.',
      severity: 'error',
      from: { path: '^src/([^/]+)' },
      to: { path: '^src/[^/]+/.*-store[.]ts$', pathNot: '^src/$1/' },
    },
    {
      name: 'services-are-built-in-one-place',
      comment: 'Import the type. What else such a file offers belongs into a file of its own.',
      severity: 'error',
      from: { path: '^src/', pathNot: exactly(['services.ts', 'start-service.ts', 'demo/seed.ts']) },
      to: {
        path: exactly(serviceFiles()),
        // Beside the vault stands the error that it throws.
        pathNot: '^src/crypto/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'express-stays-at-the-edge',
      comment: 'A route is a value; only http and the app turn it into Express.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(http/|(app|start-service)[.]ts$)' },
      to: { path: 'node_modules/(@types/)?express(-serve-static-core)?/' },
    },
    {
      name: 'only-routes-know-http',
      comment: 'Services answer with values and errors of the kernel; they do not know who asks.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: ['^src/http/', '[.]routes[.]ts$', '-schemas[.]ts$', '^src/[^/]+[.]ts$'],
      },
      to: { path: '^src/http/' },
    },
    {
      name: 'drizzle-stays-in-stores',
      comment: 'Queries live in db, in stores, and in the few files listed above.',
      severity: 'error',
      from: {
        path: '^src/',
        pathNot: ['^src/db/', '-store[.]ts$', `^src/(${DRIZZLE_USERS.join('|')})[.]ts$`],
      },
      to: { path: 'node_modules/drizzle-orm/' },
    },
    {
      name: 'rules-are-pure',
      comment:
        'Rules run nothing but the kernel, each other, hashes and the parsing of texts. Types vanish: any may be named.',
      severity: 'error',
      from: { path: '-rules[.]ts$' },
      to: {
        pathNot: ['^src/kernel/', '-rules[.]ts$', '^crypto$', 'node_modules/zod/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'src-runs-without-the-tools',
      comment: 'The image has neither tests, nor scripts, nor development packages.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts)/' },
    },
    {
      name: 'no-development-packages-in-src',
      comment: 'A package that src needs at run time is a dependency.',
      severity: 'error',
      from: { path: '^src/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['type-only'],
        pathNot: 'node_modules/@types/',
      },
    },
    {
      name: 'imports-lead-somewhere',
      comment: 'An import that cannot be found would pass every rule above.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
