/** `npm run mail:preview`: renders every message with sample values into demo-output/mail. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  renderMail,
  TEMPLATE_NAMES,
  type MailModels,
  type TemplateName,
} from '../src/notifications/mail-templates.ts';
import { sampleModels } from '../test/support/sample-mails.ts';

const folder = resolve('demo-output', 'mail');
mkdirSync(folder, { recursive: true });

const escape = (text: string): string => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
const render = <N extends TemplateName>(name: N) => renderMail(name, sampleModels[name] as MailModels[N]);

const rows = TEMPLATE_NAMES.map((name) => {
  const { subject, html, text } = render(name);
  writeFileSync(join(folder, `${name}.html`), html);
  writeFileSync(join(folder, `${name}.txt`), `Subject: ${subject}\n\n${text}`);
  return `<tr><td><a href="${name}.html">${name}</a></td><td><a href="${name}.txt">text</a></td><td>${escape(subject)}</td></tr>`;
});

const index = join(folder, 'index.html');
writeFileSync(
  index,
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Messages</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
td { padding: 0.3rem 1rem 0.3rem 0; vertical-align: top; }
</style>
<h1>Messages</h1>
<table>
${rows.join('\n')}
</table>
</html>
`,
);
console.log(`Rendered ${rows.length} messages: ${index}`);
