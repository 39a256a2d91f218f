import type { City } from '#contracts/common.ts';
import { call } from '#lib/api/client.ts';
import { isLanguage, LANGUAGE_COOKIE } from '#lib/i18n/language.ts';
import { cookieName } from '#lib/ui/cookie-name.ts';
import { error } from '@sveltejs/kit';
import type { LayoutServerLoad } from './$types';

export const load: LayoutServerLoad = async ({ fetch, locals, url, cookies }) => {
  const asked = url.searchParams.get('language');
  if (asked !== null && isLanguage(asked)) cookies.set(cookieName(LANGUAGE_COOKIE, url.protocol === 'https:'), asked, { path: '/', maxAge: 31_536_000, sameSite: 'lax', httpOnly: true, secure: url.protocol === 'https:' });
  const city = await call<City>(fetch, '/api/city');
  if (!city.ok) error(503, { message: city.problem.title, code: city.problem.code });
  return { city: city.value, language: locals.language };
};
