import rateLimit from '@fastify/rate-limit';
import { z } from 'zod';
import { GazetteerHit } from '../contracts/request.ts';
import { Refused } from '../kernel/index.ts';
import type { Http } from '../platform/index.ts';
import type { Gazetteer, GazetteerPlace } from './gazetteer.ts';

const LIMIT_MAX = 20;
const REVERSE_WITHIN_M = 500;

const Query = z.object({
  q: z.string().max(255).optional(),
  lon: z.coerce.number().min(-180).max(180).optional(),
  lat: z.coerce.number().min(-90).max(90).optional(),
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(8),
});

/** GET /api/gazetteer?q= and ?lon=&lat=: the city's own streets, so that no query leaves the building. */
export async function registerGazetteer(http: Http, deps: { readonly gazetteer: Gazetteer; readonly ratePerMinute: { readonly read: number } }): Promise<void> {
  await http.register(async (plain) => {
    await plain.register(rateLimit, { global: false });
    const scope = plain as unknown as Http;
    scope.get('/api/gazetteer', { config: { action: 'public', rateLimit: { max: deps.ratePerMinute.read, timeWindow: 60_000 } }, schema: { querystring: Query, response: { 200: z.array(GazetteerHit) } } }, (request) => {
      const { q, lon, lat, limit } = request.query;
      if (q !== undefined) return deps.gazetteer.search(q, limit).map(hitOf);
      if (lon === undefined || lat === undefined) throw new Refused({ code: 'http.invalid', detail: 'Send q, or lon and lat.', field: lon === undefined ? 'lon' : 'lat' });
      return deps.gazetteer.nearest([lon, lat], limit, REVERSE_WITHIN_M).map(hitOf);
    });
  });
}

const hitOf = ({ label, kind, point }: GazetteerPlace): GazetteerHit => ({ label, kind, point: [...point] });
