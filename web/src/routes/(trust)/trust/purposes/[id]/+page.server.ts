import type { PurposeDetail } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, params }) => ({ detail: await read<PurposeDetail>(fetch, `/api/purposes/${encodeURIComponent(params.id)}`) });
