import type { LogStatus } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const log = await read<LogStatus>(fetch, '/api/log');
  const checkpoint = await fetch('/log/checkpoint');
  return { log, checkpoint: checkpoint.ok ? await checkpoint.text() : '', origin: url.origin };
};
