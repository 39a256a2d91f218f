import type { ApprovalList } from '#contracts/approval.ts';
import type { CaseKeyState, HoldList, KeyState } from '#contracts/keys.ts';
import { call } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url, setHeaders }) => {
  setHeaders({ 'cache-control': 'no-store' });
  const wanted = (url.searchParams.get('report') ?? '').trim().slice(0, 100);
  const [list, keys, holds, found] = await Promise.all([
    read<ApprovalList>(fetch, '/api/approvals'),
    call<KeyState>(fetch, '/api/keys'),
    call<HoldList>(fetch, '/api/keys/holds'),
    wanted === '' ? null : call<CaseKeyState>(fetch, `/api/keys/cases/${encodeURIComponent(wanted)}`),
  ]);
  return {
    list,
    // null: these are for the data protection officer and the auditor
    keys: keys.ok ? keys.value : null,
    broken: keys.ok || keys.problem.status === 403 ? '' : `${keys.problem.detail || keys.problem.title} ${keys.problem.cure}`.trim(),
    holds: holds.ok ? holds.value.holds : null,
    wanted,
    report: found?.ok === true ? found.value : null,
    missing: found !== null && !found.ok ? `${found.problem.detail || found.problem.title} ${found.problem.cure}`.trim() : '',
  };
};
