// Starts Swagger UI. A file of its own, because the Content-Security-Policy of /docs allows no inline script.
(async () => {
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const followSystem = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
  dark.addEventListener('change', followSystem);
  followSystem();

  // Controls that Swagger UI leaves without a name for screen readers.
  const names = [
    ['select.examples-select-element', 'Example'],
    ['select.content-type', 'Media type'],
    ['textarea.body-param__text', 'Request body'],
    ['button.close-modal', 'Close'],
  ];
  const nameControls = () => {
    for (const [selector, name] of names)
      for (const control of document.querySelectorAll(`${selector}:not([aria-label])`))
        control.setAttribute('aria-label', name);
  };
  new MutationObserver(nameControls).observe(document.body, { childList: true, subtree: true });

  try {
    const response = await fetch('/openapi.json');
    if (!response.ok) throw new Error(`status ${response.status}`);
    const spec = await response.json();
    // Whatever address the document names, "Try it out" goes to where this page came from: there the cookie is
    // valid, and the policy of the page allows no other.
    delete spec.servers;
    window.SwaggerUIBundle({
      spec,
      dom_id: '#swagger-ui',
      deepLinking: true,
      docExpansion: 'list',
      defaultModelsExpandDepth: 0,
      displayRequestDuration: true,
      filter: true,
      // Of the built-in themes one whose colours are legible on their background.
      syntaxHighlight: { theme: 'obsidian' },
      // No badge from validator.swagger.io, and no token left behind in the browser's storage.
      validatorUrl: null,
      persistAuthorization: false,
    });
  } catch (error) {
    const notice = document.createElement('p');
    notice.className = 'notice';
    notice.setAttribute('role', 'alert');
    notice.textContent = `The API document could not be loaded (${error.message}). Reload the page to try again.`;
    document.getElementById('swagger-ui').replaceChildren(notice);
  }
})();
