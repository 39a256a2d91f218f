import { REQUEST_STATES, type RequestPage } from '#contracts/request.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { lookPurposes } from '#lib/desk/purposes.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const asked = url.searchParams.get('state') ?? '';
  const state = REQUEST_STATES.find((each) => each === asked) ?? '';
  const cursor = url.searchParams.get('cursor') ?? '';
  const query = new URLSearchParams({ ...(state === '' ? {} : { state }), ...(cursor === '' ? {} : { cursor }) });
  const [list, register] = await Promise.all([read<RequestPage>(fetch, `/api/requests?${query.toString()}`), read<PurposeRegister>(fetch, '/api/purposes')]);
  return { ...list, state, cursor, states: REQUEST_STATES, purposes: lookPurposes(register) };
};
