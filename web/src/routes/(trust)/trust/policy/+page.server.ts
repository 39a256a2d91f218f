import type { PolicyText } from '#contracts/policy.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch }) => ({ policy: await read<PolicyText>(fetch, '/api/policy') });
