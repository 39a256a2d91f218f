import type { PurposeRegister } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, parent }) => {
  const [{ principal }, register] = await Promise.all([parent(), read<PurposeRegister>(fetch, '/api/purposes')]);
  const today = new Date().toISOString().slice(0, 10);
  return { mayImport: principal.positions.includes('administrator'), purposes: register.purposes.filter(({ personal_data, ends }) => !personal_data && (ends === null || ends >= today)).map(({ id, title }) => ({ id, title })) };
};
