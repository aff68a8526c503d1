import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Router, type Response } from 'express';
import { ERROR_CODES, type ErrorCode } from '../kernel/errors.ts';
import { ERROR_CATALOGUE } from './error-catalogue.ts';
import { refuseAllButGet } from './error-reply.ts';

// The top-level folder, so that the same path is right from src/http and from dist/http.
const OWN_ASSETS = fileURLToPath(new URL('../../assets/docs', import.meta.url));
const require = createRequire(import.meta.url);
const SWAGGER_UI = dirname(require.resolve('swagger-ui-dist/package.json'));

/** Every file the pages may load. A list, so that nothing else of the package's folder is served. */
const ASSETS: ReadonlyMap<string, string> = new Map([
  ['swagger-ui.css', join(SWAGGER_UI, 'swagger-ui.css')],
  ['swagger-ui-bundle.js', join(SWAGGER_UI, 'swagger-ui-bundle.js')],
  ['favicon-32x32.png', join(SWAGGER_UI, 'favicon-32x32.png')],
  ['swagger-setup.js', join(OWN_ASSETS, 'swagger-setup.js')],
  ['swagger-theme.css', join(OWN_ASSETS, 'swagger-theme.css')],
  ['pages.css', join(OWN_ASSETS, 'pages.css')],
]);

// `data:` is for the icons in Swagger UI's style sheet. Nothing inline runs or styles.
const POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');

const STATUS_TITLES: Record<number, string> = {
  400: 'Bad request',
  401: 'Not signed in',
  403: 'Not allowed',
  404: 'Not found',
  405: 'Wrong method',
  409: 'In conflict with how things are now',
  413: 'Too large',
  415: 'Wrong media type',
  422: 'Against a rule of the business',
  429: 'Too many requests',
  500: 'Our fault',
  503: 'Not available now',
};

const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

const isErrorCode = (text: string): text is ErrorCode => (ERROR_CODES as readonly string[]).includes(text);

interface Page {
  title: string;
  /** The address that the navigation marks as the current one. */
  here: '/docs' | '/docs/errors';
  head: string;
  body: string;
}

const page = ({ title, here, head, body }: Page): string => `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${escaped(title)}</title>
    <link rel="icon" type="image/png" href="/docs/assets/favicon-32x32.png">
    ${head}
  </head>
  <body>
    <nav class="site" aria-label="Documentation">
      <span class="name">Payout Service</span>
      ${link('/docs', 'API', here)}
      ${link('/docs/errors', 'Error codes', here)}
      ${link('/openapi.json', 'openapi.json', here)}
    </nav>
    ${body}
  </body>
</html>
`;

const link = (href: string, text: string, here: string): string =>
  `<a href="${href}"${href === here ? ' aria-current="page"' : ''}>${text}</a>`;

const apiPage = (): string =>
  page({
    title: 'Payout Service API',
    here: '/docs',
    head: `<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
    <link rel="stylesheet" href="/docs/assets/pages.css">
    <link rel="stylesheet" href="/docs/assets/swagger-theme.css">
    <script src="/docs/assets/swagger-ui-bundle.js" defer></script>
    <script src="/docs/assets/swagger-setup.js" defer></script>`,
    body: `<div id="swagger-ui"></div>
    <noscript><p class="notice">This page needs JavaScript. The document itself is at
      <a href="/openapi.json">/openapi.json</a>.</p></noscript>`,
  });

const errorEntry = (code: ErrorCode): string => {
  const { status, meaning, remedy } = ERROR_CATALOGUE[code];
  return `<article id="${code}">
        <h3><a href="#${code}"><code>${code}</code></a> <span class="status">${status}</span></h3>
        <p>${escaped(meaning)}</p>
        <p class="remedy"><strong>What to do:</strong> ${escaped(remedy)}</p>
      </article>`;
};

function errorsPage(): string {
  const statuses = [...new Set(ERROR_CODES.map((code) => ERROR_CATALOGUE[code].status))].sort(
    (a, b) => a - b,
  );
  const groups = statuses.map((status) => ({
    status,
    title: STATUS_TITLES[status] ?? 'Other',
    codes: ERROR_CODES.filter((code) => ERROR_CATALOGUE[code].status === status),
  }));
  const contents = groups.map(
    ({ status, codes }) =>
      `<li><a href="#status-${status}">${status}</a><span>${codes
        .map((code) => `<a href="#${code}"><code>${code}</code></a>`)
        .join(' ')}</span></li>`,
  );
  const sections = groups.map(
    ({ status, title, codes }) => `<section aria-labelledby="status-${status}">
      <h2 id="status-${status}">${status} <span>${escaped(title)}</span></h2>
      ${codes.map(errorEntry).join('\n      ')}
    </section>`,
  );
  return page({
    title: 'Error codes of the Payout Service',
    here: '/docs/errors',
    head: '<link rel="stylesheet" href="/docs/assets/pages.css">',
    body: `<main class="text">
    <h1>Error codes</h1>
    <p>Whatever goes wrong, the answer has the same form. <code>code</code> is for programs and stays as it is;
      <code>message</code> is for people and may change; <code>requestId</code> finds the request in our log.</p>
    <pre tabindex="0" aria-label="An error">${escaped(`{
  "error": {
    "code": "INVALID_STATE",
    "message": "Payout PO-2026-7K3M9QXA cannot be approved: it is completed.",
    "details": { "docUrl": "/docs/errors#INVALID_STATE" },
    "timestamp": "2026-11-20T02:00:00.000Z",
    "requestId": "b1f7f0c2-5d0e-4a57-9f39-6f8f0f4f7c11"
  }
}`)}</pre>
    <nav aria-label="Codes by status"><ul class="contents">
      ${contents.join('\n      ')}
    </ul></nav>
    ${sections.join('\n    ')}
  </main>`,
  });
}

/** The pages about the API: the document, Swagger UI over it, and what every error code means. All are public. */
export function docsPages(document: object): Router {
  const router = Router();
  const documentText = JSON.stringify(document);
  const pages = { api: apiPage(), errors: errorsPage() };

  const send = (response: Response, type: string, content: string): void => {
    response
      .set({
        'Content-Security-Policy': POLICY,
        'X-Content-Type-Options': 'nosniff',
        'Referrer-Policy': 'no-referrer',
        'Cache-Control': 'no-cache',
      })
      .type(type)
      .send(content);
  };

  router.get('/openapi.json', (_request, response) => send(response, 'json', documentText));
  router.get('/docs', (_request, response) => send(response, 'html', pages.api));
  router.get('/docs/errors', (_request, response) => send(response, 'html', pages.errors));
  router.all(['/openapi.json', '/docs', '/docs/errors'], refuseAllButGet);

  router.get('/docs/errors/:code', (request, response, next) => {
    const { code } = request.params;
    if (isErrorCode(code)) response.redirect(302, `/docs/errors#${code}`);
    else next();
  });

  router.get('/docs/assets/:name', (request, response, next) => {
    const file = ASSETS.get(request.params.name);
    if (file === undefined) return next();
    response.set('X-Content-Type-Options', 'nosniff');
    // An installation below a folder whose name begins with a dot (such as node_modules/.pnpm) is served as well.
    response.sendFile(file, { maxAge: '1h', dotfiles: 'allow' }, (error) => {
      if (error && !response.headersSent) next(error);
    });
  });

  return router;
}
