import type { FeedHealth, FeedSetup } from '#contracts/feed.ts';
import type { Feeds } from '#contracts/place.ts';
import { call } from '#lib/api/client.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import type { Actions, PageServerLoad, RequestEvent } from './$types';

export const load: PageServerLoad = async ({ fetch, depends }) => {
  depends('feeds:health');
  const [feeds, setup] = await Promise.all([read<Feeds>(fetch, '/api/feeds'), read<FeedSetup>(fetch, '/api/feeds/setup')]);
  return { asOf: feeds.asOf, sources: feeds.sources, setup };
};

const DONE = { run: 'was asked', pause: 'is paused', resume: 'runs again' } as const;

async function steer({ request, fetch }: RequestEvent, act: keyof typeof DONE) {
  const sent = (await request.formData()).get('name');
  const name = typeof sent === 'string' ? sent : '';
  const answer = await call<FeedHealth>(fetch, `/api/feeds/${encodeURIComponent(name)}/${act}`, { method: 'POST', body: {} });
  if (!answer.ok) return fail(answer.problem.status || 503, { name, done: '', wrong: `${answer.problem.detail || answer.problem.title} ${answer.problem.cure}`.trim() });
  const { error } = answer.value;
  if (act === 'run' && error !== null) return { name, done: '', wrong: `${name} was asked and gave nothing: ${error.detail} ${error.cure}` };
  return { name, done: `${name} ${DONE[act]}.`, wrong: '' };
}

export const actions: Actions = {
  run: (event) => steer(event, 'run'),
  pause: (event) => steer(event, 'pause'),
  resume: (event) => steer(event, 'resume'),
};
