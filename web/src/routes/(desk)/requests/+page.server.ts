import { REQUEST_STATES, type RequestPage } from '#contracts/request.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, url }) => {
  const asked = url.searchParams.get('state') ?? '';
  const state = REQUEST_STATES.find((each) => each === asked) ?? '';
  const cursor = url.searchParams.get('cursor') ?? '';
  const query = new URLSearchParams({ ...(state === '' ? {} : { state }), ...(cursor === '' ? {} : { cursor }) });
  const list = await read<RequestPage>(fetch, `/api/requests?${query.toString()}`);
  return { ...list, state, states: REQUEST_STATES };
};
