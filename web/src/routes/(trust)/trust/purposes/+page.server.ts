import type { PurposeRegister } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => ({ register: await read<PurposeRegister>(fetch, '/api/purposes'), origin: url.origin });
