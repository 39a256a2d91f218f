import { REFUSALS } from '../../kernel/index.ts';
import type { Api } from '../entities/model.ts';
import { entityPaths, serverPaths, type Paths, type Writing } from './operations.ts';
import { QUERY_OPTIONS } from './parameters.ts';
import { entitySchemas, schemaRef, sharedSchemas, type Schema } from './schema.ts';

/** OpenAPI 3.1, as far as these documents need it. */
export interface OpenApi {
  readonly openapi: '3.1.0';
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly paths: Paths;
  readonly components: { readonly schemas: Record<string, Schema>; readonly parameters: Record<string, unknown>; readonly responses: Record<string, unknown>; readonly securitySchemes: Record<string, unknown> };
}

const REFUSED: Readonly<Record<string, string>> = {
  BadRequest: 'The query, the address or the body is wrong; the message names the place and the cure.',
  Unauthorized: 'No credential came, or a wrong one.',
  Forbidden: 'The credential does not include this.',
  NotFound: 'There is nothing at this address.',
  NotBuilt: 'This part of the standard is not built.',
  Overloaded: 'Nothing was stored; Retry-After says when to send again.',
};

/**
 * Describes one version of the API from its entity models: every set, entity, property and relation. `prefix` stands before the
 * names of all parts, so that documents of several versions can be joined.
 */
export function describeApi(api: Api, { publicUrl, prefix = '', has, isTerse = false }: { publicUrl: string; prefix?: string; has: Writing['has']; isTerse?: boolean }): OpenApi {
  const writing: Writing = { prefix, has, isTerse };
  const named = <T>(parts: Readonly<Record<string, T>>): Record<string, T> => Object.fromEntries(Object.entries(parts).map(([name, part]) => [prefix + name, part]));
  const version = api.root.slice(2);
  const paths = serverPaths(api.root, writing);
  const schemas = sharedSchemas(api, writing, Object.keys(REFUSALS));
  for (const model of api.models) {
    Object.assign(paths, entityPaths(model, writing));
    Object.assign(schemas, entitySchemas(model, writing));
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `SensorThings API ${version}`,
      version,
      description: `OGC SensorThings API ${version}. Relations can be followed further than the paths below: after an entity stands the name of any of its relations, at most 12 steps. Reading needs no credential; writing needs a bearer token.`,
    },
    servers: [{ url: publicUrl }],
    tags: [{ name: 'Server' }, ...api.models.map(({ set }) => ({ name: set }))],
    paths,
    components: {
      schemas: named(schemas),
      parameters: named(QUERY_OPTIONS),
      responses: named(Object.fromEntries(Object.entries(REFUSED).map(([name, description]) => [name, { description, content: { 'application/json': { schema: schemaRef(writing, 'Error') } } }]))),
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
    },
  };
}
