import type { City } from '#contracts/common.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { requirePerson } from '#lib/server/session.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async (event) => {
  const principal = await requirePerson(event);
  const [city, register] = await Promise.all([read<City>(event.fetch, '/api/city'), read<PurposeRegister>(event.fetch, '/api/purposes')]);
  return { city: city.name, timeZone: city.time_zone, mayImport: principal.positions.includes('administrator'), purposes: register.purposes.map(({ id, title }) => ({ id, title })) };
};
