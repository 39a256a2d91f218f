import { error } from '@sveltejs/kit';
import type { City } from '#contracts/common';
import { call } from '#lib/api/client.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, locals, setHeaders }) => {
  const city = await call<City>(fetch, '/api/city');
  if (!city.ok) error(city.problem.status || 503, { message: city.problem.title });
  setHeaders({ vary: 'accept-language, cookie' });
  return { city: city.value, language: locals.language };
};
