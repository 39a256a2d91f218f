import type { SealedCounts } from '#contracts/looks.ts';
import type { GateCounts, LogStatus, PurposeRegister } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const [register, gate, log, sealed] = await Promise.all([read<PurposeRegister>(fetch, '/api/purposes'), read<GateCounts>(fetch, '/api/gate'), read<LogStatus>(fetch, '/api/log'), read<SealedCounts>(fetch, '/api/looks/sealed')]);
  return { register, gate, log, sealed: sealed.quarters, origin: url.origin };
};
