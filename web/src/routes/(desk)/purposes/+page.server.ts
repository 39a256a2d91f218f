import type { Approval } from '#contracts/approval.ts';
import type { PurposeDesk, PurposeRegister } from '#contracts/trust.ts';
import { call } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad, RequestEvent } from './$types';
import { readEntry } from './entry.ts';

export const load: PageServerLoad = async ({ fetch, url, parent }) => {
  const { principal } = await parent();
  const [register, desk] = await Promise.all([read<PurposeRegister>(fetch, '/api/purposes'), read<PurposeDesk>(fetch, '/api/purposes/desk')]);
  const edit = url.searchParams.get('edit');
  return {
    register,
    desk,
    /** Null for a new one, undefined when nothing is edited. */
    edited: edit === null ? undefined : (register.purposes.find(({ id }) => id === edit) ?? null),
    mayPropose: principal.positions.some((position) => position === 'administrator' || position === 'data_protection_officer'),
  };
};

async function propose({ fetch }: RequestEvent, body: Record<string, unknown>, form: FormData) {
  const reason = form.get('reason');
  const answer = await call<Approval>(fetch, '/api/purposes/proposals', { method: 'POST', body: { ...body, reason: typeof reason === 'string' ? reason : '' } });
  if (!answer.ok) return fail(answer.problem.status || 503, { wrong: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`.trim(), field: '', proposed: null });
  return { wrong: '', field: '', proposed: { subject: answer.value.subject, changes: answer.value.changes.length } };
}

export const actions: Actions = {
  set: async (event) => {
    const form = await event.request.formData();
    const found = readEntry(form);
    if ('wrong' in found) return fail(400, { ...found, proposed: null });
    return propose(event, { set: [found.entry] }, form);
  },
  end: async (event) => {
    const form = await event.request.formData();
    return propose(event, { end: [form.get('id')] }, form);
  },
  file: async (event) => propose(event, { from_file: true }, await event.request.formData()),
};
