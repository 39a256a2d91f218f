import { existsSync } from 'node:fs';
import fastifyStatic from '@fastify/static';
import swagger from '@fastify/swagger';
import type { CityFolder } from './city.ts';
import { VERSION } from './city.ts';
import type { Config } from './config.ts';
import { REFUSALS } from './kernel/index.ts';
import { collectDocuments, describeRoute } from './openapi.ts';
import type { DatabaseHandle, Http, Metrics } from './platform/index.ts';

/** Health, metrics, the OpenAPI document, the city's own files and the table of refusals. Must come before the modules' routes. */
export async function registerPublicRoutes(http: Http, options: { config: Config; city: CityFolder; metrics: Metrics; handle: DatabaseHandle }): Promise<void> {
  const { city, metrics, handle } = options;
  await http.register(swagger, {
    openapi: { openapi: '3.1.0', info: { title: 'Clerestory', version: VERSION, description: 'The open city operations centre.' }, components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } } },
    transform: describeRoute,
  });
  const joinDocuments = collectDocuments(http);
  http.get('/api/openapi.json', { config: { action: 'public' }, schema: { hide: true } }, () => joinDocuments(http.swagger() as Parameters<typeof joinDocuments>[0]));
  registerHealthRoutes(http, { metrics, handle });
  http.get('/api/city', { config: { action: 'public' } }, () => city.info);
  http.get('/api/errors', { config: { action: 'public' } }, () => Object.entries(REFUSALS).map(([code, row]) => ({ code, ...row })));
  if (existsSync(city.folder)) {
    await http.register(fastifyStatic, { root: city.folder, serve: false, acceptRanges: true, maxAge: '1h' });
    // the folder also holds rules and playbooks; only these two are for everybody
    for (const file of ['basemap.pmtiles', 'brand.svg']) http.get(`/city/${file}`, { config: { action: 'public' }, schema: { hide: true } }, (_request, reply) => reply.sendFile(file));
  }
}

/** Whether the process lives, whether it is ready, and its figures. */
export function registerHealthRoutes(http: Http, { metrics, handle }: { metrics: Metrics; handle: DatabaseHandle }): void {
  http.get('/livez', { config: { action: 'public' } }, () => ({ status: 'live' }));
  http.get('/readyz', { config: { action: 'public' } }, async (_request, reply) => {
    try {
      await handle.ping();
      return { status: 'ready', version: VERSION };
    } catch {
      return reply.code(503).header('retry-after', 1).send({ status: 'the database is away' });
    }
  });
  http.get('/metrics', { config: { action: 'public' }, schema: { hide: true } }, async (_request, reply) => reply.header('content-type', metrics.contentType).send(await metrics.metrics()));
}
