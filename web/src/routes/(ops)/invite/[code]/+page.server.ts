import { fail, redirect } from '@sveltejs/kit';
import type { City } from '#contracts/common';
import type { Invitation, Session } from '#contracts/session';
import { call } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';
import type { Actions, PageServerLoad } from './$types';

const NAME_LEAST = 2;
const PASSWORD_LEAST = 12;

export const load: PageServerLoad = async ({ fetch, params, setHeaders }) => {
  // the address is a secret
  setHeaders({ 'cache-control': 'no-store' });
  const [city, invitation] = await Promise.all([call<City>(fetch, '/api/city'), call<Invitation>(fetch, `/api/invitations/${encodeURIComponent(params.code)}`)]);
  return {
    city: city.ok ? city.value.name : t('product'),
    zone: city.ok ? city.value.time_zone : 'UTC',
    invitation: invitation.ok ? invitation.value : null,
    spent: invitation.ok ? null : `${invitation.problem.title}. ${invitation.problem.cure}`,
  };
};

const text = (form: FormData, field: string): string => {
  const value = form.get(field);
  return typeof value === 'string' ? value : '';
};

export const actions: Actions = {
  default: async ({ request, fetch, params }) => {
    const form = await request.formData();
    const name = text(form, 'name').trim();
    const password = text(form, 'password');
    const wrong = { name: name.length < NAME_LEAST ? t('invite_name_short') : '', password: password.length < PASSWORD_LEAST ? t('invite_password_short') : '' };
    if (wrong.name !== '' || wrong.password !== '') return fail(400, { name, wrong, error: '' });
    const answer = await call<Session>(fetch, `/api/invitations/${encodeURIComponent(params.code)}/password`, { method: 'POST', body: { name, password } });
    if (!answer.ok) return fail(answer.problem.status || 503, { name, wrong: { name: answer.problem.field === 'name' ? answer.problem.detail : '', password: '' }, error: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}` });
    redirect(303, '/console');
  },
};
