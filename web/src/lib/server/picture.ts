import { error } from '@sveltejs/kit';
import type { City } from '#contracts/common';
import type { Queue } from '#contracts/incident';
import type { Feeds, Places } from '#contracts/place';
import { call, type Answer } from '#lib/api/client.ts';
import { t } from '#lib/i18n/messages.ts';
import type { PictureStart } from '#lib/ops/picture.svelte.ts';
import { requirePerson } from './session.ts';

function take<T>(answer: Answer<T>): T {
  if (answer.ok) return answer.value;
  const { status, title, detail, code } = answer.problem;
  if (code === 'auth.forbidden') return error(403, { message: `${t('forbidden_title')}. ${t('forbidden')}`, code });
  return error(status >= 400 ? status : 503, { message: `${title}. ${detail}`, code });
}

/** The first picture of the room, so that the page shows it before any script ran. */
export async function readPicture(asking: { fetch: typeof globalThis.fetch; url: URL }): Promise<PictureStart> {
  const me = await requirePerson(asking);
  const [city, queue, places, feeds] = await Promise.all([call<City>(asking.fetch, '/api/city'), call<Queue>(asking.fetch, '/api/queue'), call<Places>(asking.fetch, '/api/places'), call<Feeds>(asking.fetch, '/api/feeds')]);
  return { city: take(city), me, queue: take(queue), places: take(places), feeds: take(feeds) };
}
