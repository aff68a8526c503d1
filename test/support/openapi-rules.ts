import { ERROR_CATALOGUE } from '../../src/http/error-catalogue.ts';
import { errorCodesOf, needsBody, openApiPath } from '../../src/http/openapi.ts';
import type { Route } from '../../src/http/route.ts';

interface ResponseObject {
  $ref?: string;
  content?: Record<string, unknown>;
  'x-error-codes'?: readonly string[];
}

interface DocumentObject {
  paths?: Record<string, Record<string, { responses?: Record<string, ResponseObject> } | undefined>>;
  components?: { responses?: Record<string, ResponseObject> };
}

const COMPONENT_PREFIX = '#/components/responses/';

/** What is wrong with the routes or with their place in the document, one sentence each; empty when all is well. */
export function faultsOf(routes: readonly Route[], document: object): string[] {
  const addresses = routes.map((route) => `${route.method} ${route.path}`);
  return [
    ...addresses
      .filter((address, index) => addresses.indexOf(address) !== index)
      .map((address) => `${address}: declared twice`),
    ...routes.flatMap((route) =>
      [...exampleFaults(route), ...documentFaults(route, document)].map(
        (fault) => `${route.method} ${route.path}: ${fault}`,
      ),
    ),
  ];
}

function exampleFaults(route: Route): string[] {
  const faults: string[] = [];
  const { body, reply } = route.example ?? {};
  if (route.summary.trim() === '') faults.push('no summary');

  if (body === undefined) {
    if (needsBody(route)) faults.push('no example of the body');
  } else {
    const parsed = route.body.safeParse(body);
    if (!parsed.success) faults.push(`the example of the body does not parse: ${parsed.error.message}`);
  }

  if (!route.reply) {
    if (!route.files?.length) faults.push('neither a reply nor files');
    if (reply !== undefined) faults.push('an example of a reply that it does not give');
  } else if (reply === undefined) {
    faults.push('no example of the reply');
  } else {
    const parsed = route.reply.safeParse(reply);
    if (!parsed.success) faults.push(`the example of the reply does not parse: ${parsed.error.message}`);
  }
  return faults;
}

function documentFaults(route: Route, document: DocumentObject): string[] {
  const operation = document.paths?.[openApiPath(route.path)]?.[route.method];
  if (!operation) return ['missing in the document'];

  const responseOf = (status: number): ResponseObject | undefined => {
    const response = operation.responses?.[status];
    return response?.$ref?.startsWith(COMPONENT_PREFIX)
      ? document.components?.responses?.[response.$ref.slice(COMPONENT_PREFIX.length)]
      : response;
  };

  const success = responseOf(route.status ?? 200);
  const mediaTypes = [...(route.reply ? ['application/json'] : []), ...(route.files ?? [])];
  return [
    ...mediaTypes
      .filter((mediaType) => success?.content?.[mediaType] === undefined)
      .map((mediaType) => `the document has no answer of ${mediaType}`),
    ...errorCodesOf(route)
      .filter((code) => !responseOf(ERROR_CATALOGUE[code].status)?.['x-error-codes']?.includes(code))
      .map((code) => `the document does not name ${code}`),
  ];
}
