import type { City } from '#contracts/common.ts';
import { read } from '#lib/trust/read.ts';
import type { LayoutServerLoad } from './$types';

export const load: LayoutServerLoad = async ({ fetch, locals }) => ({ city: await read<City>(fetch, '/api/city'), language: locals.language });
