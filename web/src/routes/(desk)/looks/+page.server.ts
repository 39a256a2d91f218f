import type { Approval } from '#contracts/approval.ts';
import type { Disclosure, LookFigures } from '#contracts/looks.ts';
import { call, type Problem } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

const DAY_MS = 24 * 3_600_000;
const SPANS = [1, 7, 30, 90] as const;

export const load: PageServerLoad = async ({ fetch, url }) => {
  const days = SPANS.find((each) => String(each) === url.searchParams.get('days')) ?? 7;
  const now = Date.now();
  const query = new URLSearchParams({ from: new Date(now - days * DAY_MS).toISOString() });
  return { figures: await read<LookFigures>(fetch, `/api/looks/figures?${query.toString()}`), days, spans: SPANS };
};

const textOf = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};
const saying = (problem: Problem): string => `${problem.detail || problem.title} ${problem.cure}`.trim();
const NOTHING = { proposal: null, disclosure: null, error: '' };

export const actions: Actions = {
  propose: async ({ request, fetch }) => {
    const form = await request.formData();
    const answer = await call<Approval>(fetch, '/api/looks/disclosures', { method: 'POST', body: { pseudonym: textOf(form, 'pseudonym'), reason: textOf(form, 'reason') } });
    return answer.ok ? { ...NOTHING, proposal: answer.value.id } : fail(answer.problem.status || 503, { ...NOTHING, error: saying(answer.problem) });
  },
  disclose: async ({ request, fetch }) => {
    const form = await request.formData();
    const answer = await call<Disclosure>(fetch, `/api/looks/disclosures/${encodeURIComponent(textOf(form, 'approval'))}`, { method: 'POST', body: {} });
    return answer.ok ? { ...NOTHING, disclosure: answer.value } : fail(answer.problem.status || 503, { ...NOTHING, error: saying(answer.problem) });
  },
};
