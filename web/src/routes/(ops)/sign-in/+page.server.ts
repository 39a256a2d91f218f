import { fail, redirect } from '@sveltejs/kit';
import type { City } from '#contracts/common';
import type { Session, SignInMethods } from '#contracts/session';
import { call } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';
import { nextPath } from '#lib/server/session.ts';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const [city, session, methods] = await Promise.all([call<City>(fetch, '/api/city'), call<Session>(fetch, '/api/session'), call<SignInMethods>(fetch, '/api/sign-in')]);
  return {
    city: city.ok ? city.value.name : t('product'),
    signedInAs: session.ok && session.value.principal.kind === 'person' ? session.value.principal.name : null,
    next: nextPath(url.searchParams.get('next')),
    signedOut: url.searchParams.has('signed-out'),
    service: methods.ok ? methods.value.service : null,
    passkey: methods.ok ? methods.value.passkey : false,
    passkeyHindrance: methods.ok ? methods.value.passkeyHindrance : methods.problem.title,
  };
};

const text = (form: FormData, field: string): string => {
  const value = form.get(field);
  return typeof value === 'string' ? value : '';
};

export const actions: Actions = {
  in: async ({ request, fetch, url }) => {
    const form = await request.formData();
    const name = text(form, 'name').trim();
    const password = text(form, 'password');
    const code = text(form, 'code');
    const missing = { name: name === '' ? t('name_missing') : '', password: password === '' ? t('password_missing') : '' };
    if (missing.name !== '' || missing.password !== '') return fail(400, { name, missing, error: '' });
    const answer = await call<Session>(fetch, '/api/sign-in/password', { method: 'POST', body: { name, password, code } });
    if (!answer.ok) return fail(answer.problem.status || 503, { name, missing: { name: '', password: '' }, error: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}` });
    const next = nextPath(url.searchParams.get('next'));
    redirect(303, answer.value.secondFactorNeeded ? `/account?new&next=${encodeURIComponent(next)}` : next);
  },
  out: async ({ fetch }) => {
    const answer = await call<undefined>(fetch, '/api/sign-out', { method: 'POST' });
    if (!answer.ok) return fail(answer.problem.status || 503, { name: '', missing: { name: '', password: '' }, error: answer.problem.title });
    redirect(303, '/sign-in?signed-out');
  },
};
