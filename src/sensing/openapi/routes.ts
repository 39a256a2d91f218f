import type { Http } from '../../platform/index.ts';
import type { Api } from '../entities/model.ts';
import { describeApi, type OpenApi } from './document.ts';

/** GET {root}/api: OpenAPI 3.1 of one version. It is made when it is first asked for, when every route is registered. */
export function registerOpenApi(http: Http, api: Api, publicUrl: () => string, isTerse = false): void {
  const has = (method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string): boolean => http.hasRoute({ method, url: api.root + path });
  const describe = (prefix: string): OpenApi => describeApi(api, { publicUrl: publicUrl(), prefix, has, isTerse });
  let text: string | undefined;
  // the document of the whole server holds all versions, each with names of its own
  http.get(`${api.root}/api`, { config: { action: 'public', describe: () => describe(`${api.root.slice(1)}.`) }, schema: { hide: true } }, (_request, reply) => {
    text ??= JSON.stringify(describe(''));
    return reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'public, max-age=300').send(text);
  });
}
