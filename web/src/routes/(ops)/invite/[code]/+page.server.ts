import { fail, redirect } from '@sveltejs/kit';
import type { City } from '#contracts/common';
import type { Invitation, Session, SignInMethods } from '#contracts/session';
import { call } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';
import type { Actions, PageServerLoad } from './$types';

const NAME_LEAST = 2;
const PASSWORD_LEAST = 12;

export const load: PageServerLoad = async ({ fetch, params, setHeaders }) => {
  // the address is a secret
  setHeaders({ 'cache-control': 'no-store' });
  const [city, methods, invitation] = await Promise.all([call<City>(fetch, '/api/city'), call<SignInMethods>(fetch, '/api/sign-in'), call<Invitation>(fetch, `/api/invitations/${encodeURIComponent(params.code)}`)]);
  return {
    city: city.ok ? city.value.name : t('product'),
    zone: city.ok ? city.value.time_zone : 'UTC',
    service: methods.ok ? methods.value.service : null,
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
    if (text(form, 'way') === 'service') {
      if (name.length < NAME_LEAST) return fail(400, { name, wrong: { name: t('invite_name_short'), password: '' }, error: '', location: '' });
      const begun = await call<{ location: string }>(fetch, '/api/sign-in/service/accept', { method: 'POST', body: { code: params.code, name } });
      if (!begun.ok) return fail(begun.problem.status || 503, { name, wrong: { name: '', password: '' }, error: `${begun.problem.detail || begun.problem.title} ${begun.problem.cure}`, location: '' });
      // a redirect would break off at form-action of the page's policy (CSP level 3 §6.4.1)
      return { name, wrong: { name: '', password: '' }, error: '', location: begun.value.location };
    }
    const password = text(form, 'password');
    const wrong = { name: name.length < NAME_LEAST ? t('invite_name_short') : '', password: password.length < PASSWORD_LEAST ? t('invite_password_short') : '' };
    if (wrong.name !== '' || wrong.password !== '') return fail(400, { name, wrong, error: '', location: '' });
    const answer = await call<Session>(fetch, `/api/invitations/${encodeURIComponent(params.code)}/password`, { method: 'POST', body: { name, password } });
    if (!answer.ok) return fail(answer.problem.status || 503, { name, wrong: { name: answer.problem.field === 'name' ? answer.problem.detail : '', password: '' }, error: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`, location: '' });
    redirect(303, answer.value.secondFactorNeeded ? '/account?new&next=%2Fconsole' : '/console');
  },
};
