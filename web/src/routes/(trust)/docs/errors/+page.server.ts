import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

interface ErrorRow {
  code: string;
  status: number;
  title: string;
  cure: string;
}

export const load: PageServerLoad = async ({ fetch }) => ({ errors: await read<ErrorRow[]>(fetch, '/api/errors') });
