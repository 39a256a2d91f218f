import type { ApprovalList } from '#contracts/approval.ts';
import type { SealedCounts, SealedEntries } from '#contracts/looks.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { lookPurposes } from '#lib/desk/purposes.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url, setHeaders }) => {
  setHeaders({ 'cache-control': 'no-store' });
  const [list, sealed, counts, register] = await Promise.all([read<ApprovalList>(fetch, '/api/approvals'), read<SealedEntries>(fetch, '/api/looks/sealed/entries'), read<SealedCounts>(fetch, '/api/looks/sealed'), read<PurposeRegister>(fetch, '/api/purposes')]);
  return { list, entries: sealed.entries, quarters: counts.quarters, purposes: lookPurposes(register), report: (url.searchParams.get('report') ?? '').slice(0, 100) };
};
