import { POSITIONS, type Position } from '#contracts/principal.ts';
import type { InvitationLink, Person } from '#contracts/session.ts';
import { call } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

const HUMAN = POSITIONS.filter((position): position is Exclude<Position, 'device'> => position !== 'device');

export const load: PageServerLoad = async ({ fetch }) => ({ people: await read<Person[]>(fetch, '/api/people'), positions: HUMAN });

export const actions: Actions = {
  invite: async ({ request, fetch, url }) => {
    const form = await request.formData();
    const positions = HUMAN.filter((position) => form.getAll('positions').includes(position));
    const name = form.get('name');
    const answer = await call<InvitationLink>(fetch, '/api/people/invitations', { method: 'POST', body: { name: typeof name === 'string' ? name : '', positions } });
    if (!answer.ok) return fail(answer.problem.status || 503, { link: '', until: '', error: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`.trim() });
    return { link: url.origin + answer.value.path, until: `${answer.value.expiresAt.slice(0, 16).replace('T', ' ')} UTC`, error: '' };
  },
  disable: async ({ request, fetch }) => {
    const id = (await request.formData()).get('id');
    const answer = await call(fetch, `/api/people/${encodeURIComponent(typeof id === 'string' ? id : '')}/disable`, { method: 'POST', body: {} });
    return answer.ok ? { link: '', until: '', error: '' } : fail(answer.problem.status || 503, { link: '', until: '', error: answer.problem.detail || answer.problem.title });
  },
};
