import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { ANSWERS } from './described-answers.ts';
import type { Http } from './platform/index.ts';

type Operations = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface Document {
  readonly paths?: Readonly<Record<string, unknown>>;
  readonly tags?: readonly unknown[];
  readonly components?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

type TransformInput = Parameters<typeof jsonSchemaTransform>[0];

/** What the document says of a route beside its own schema: a name, its group, whether a credential is needed, and what it answers. */
export function describeRoute(input: TransformInput): ReturnType<typeof jsonSchemaTransform> {
  const { route } = input;
  const method = [route.method].flat()[0] ?? 'GET';
  const answer = method === 'GET' ? ANSWERS[route.url] : undefined;
  const own = answer === undefined ? input.schema : { ...input.schema, response: { 200: answer } };
  const { schema, url } = jsonSchemaTransform({ ...input, schema: own });
  const action = route.config?.action;
  const isOpen = action === 'public' || action === 'sensing.read' || action === 'requests.submit';
  return {
    url,
    schema: {
      operationId: nameOf(method, route.url),
      tags: [route.url.split('/')[1] === 'api' ? (route.url.split('/')[2] ?? 'api') : (route.url.split('/')[1] ?? '')],
      ...(isOpen ? {} : { security: [{ bearer: [] }] }),
      ...schema,
    },
  };
}

/** `GET /api/incidents/:id/acts` is getIncidentsByIdActs. */
function nameOf(method: string, url: string): string {
  const words = url.replace(/^\/api(?=\/)/, '').replaceAll(/[:{](\w+)\}?/g, 'by-$1').split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('');
}

// RFC 9457
const PROBLEM = {
  type: 'object',
  properties: { type: { type: 'string', format: 'uri-reference' }, title: { type: 'string' }, status: { type: 'integer' }, code: { type: 'string' }, detail: { type: 'string' }, cure: { type: 'string' }, field: { type: 'string' } },
  required: ['type', 'title', 'status'],
};
const REFUSED: Document = {
  components: { schemas: { Problem: PROBLEM }, responses: { Problem: { description: 'A refusal names the field and the cure.', content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } } } },
};

/** Every operation below /api may refuse in the one shape of errors. */
function withRefusal(path: string, operations: Operations): Operations {
  if (!path.startsWith('/api/')) return operations;
  return Object.fromEntries(Object.entries(operations).map(([method, operation]) => [method, { ...operation, responses: { ...(operation['responses'] as object), default: { $ref: '#/components/responses/Problem' } } }]));
}

/**
 * Remembers what routes that are registered from now on bring of OpenAPI themselves, and joins it to what the framework reads
 * from the schemas of all others. An address below one that describes itself is left to that description.
 */
export function collectDocuments(http: Http): (base: Document) => Document {
  const parts = new Map<string, () => unknown>();
  http.addHook('onRoute', ({ url, method, config }) => {
    if (config?.describe !== undefined && method !== 'HEAD') parts.set(url.replace(/[^/]+$/, ''), config.describe);
  });
  return (base) => {
    const roots = [...parts.keys()];
    const documents = [...parts.values()].map((describe) => describe() as Document);
    const own = Object.entries(base.paths ?? {})
      .filter(([path]) => !roots.some((root) => `${path}/`.startsWith(root)))
      .map(([path, operations]) => [path, withRefusal(path, operations as Operations)] as const);
    return {
      ...base,
      tags: [...(base.tags ?? []), ...new Map(documents.flatMap(({ tags }) => tags ?? []).map((tag) => [JSON.stringify(tag), tag])).values()],
      paths: Object.assign(Object.fromEntries(own), ...documents.map(({ paths }) => paths)) as Record<string, unknown>,
      components: joinComponents([base, REFUSED, ...documents]),
    };
  };
}

function joinComponents(documents: readonly Document[]): Record<string, Record<string, unknown>> {
  const joined: Record<string, Record<string, unknown>> = {};
  for (const { components } of documents) for (const [kind, members] of Object.entries(components ?? {})) joined[kind] = { ...joined[kind], ...members };
  return joined;
}
