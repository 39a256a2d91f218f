import type { GazetteerHit, NearbyRequest, PortalReceipt, PortalService } from '#contracts/request.ts';
import { call, type Problem } from '#lib/api/client.ts';
import { portalWords } from '#lib/portal/words.ts';
import { fail, redirect, error } from '@sveltejs/kit';
import type { Actions, PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch, locals }) => {
  const services = await call<PortalService[]>(fetch, `/api/portal/services?language=${locals.language}`);
  if (!services.ok) error(503, { message: services.problem.title, code: services.problem.code });
  return { services: services.value, key: crypto.randomUUID() };
};

interface Answers {
  step: 1 | 2;
  values: Record<'service_code' | 'address' | 'description' | 'name' | 'email' | 'phone', string>;
  places: GazetteerHit[];
  nearby: NearbyRequest[];
  chosen: number;
  key: string;
  /** Answers to the service's own questions, by their code. */
  answers: Record<string, string[]>;
  quiet: boolean;
  errors: { field: string; text: string }[];
}

const MAX_PLACES = 5;
const textOf = (form: FormData, name: string): string => {
  const value = form.get(name);
  return typeof value === 'string' ? value.trim() : '';
};

const ANSWER = 'answer.';
const MAX_ANSWERS = 50;

function readAnswers(form: FormData, step: 1 | 2): Answers {
  const names = [...new Set([...form.keys()].filter((name) => name.startsWith(ANSWER)))].slice(0, MAX_ANSWERS);
  const answers = Object.fromEntries(
    names.map((name): [string, string[]] => [name.slice(ANSWER.length), form.getAll(name).filter((value): value is string => typeof value === 'string' && value.trim() !== '')]),
  );
  const values = Object.fromEntries((['service_code', 'address', 'description', 'name', 'email', 'phone'] as const).map((name) => [name, textOf(form, name)])) as Answers['values'];
  return { step, values, answers, quiet: textOf(form, 'quiet') === 'yes', places: [], nearby: [], chosen: Number(textOf(form, 'place') || 0), key: textOf(form, 'key').slice(0, 64), errors: [] };
}

async function findPlaces(fetch: typeof globalThis.fetch, address: string): Promise<GazetteerHit[]> {
  const hits = await call<GazetteerHit[]>(fetch, `/api/gazetteer?limit=${MAX_PLACES}&q=${encodeURIComponent(address)}`);
  return hits.ok ? hits.value : [];
}

async function findNearby(fetch: typeof globalThis.fetch, service: string, place: GazetteerHit | undefined, language: string): Promise<NearbyRequest[]> {
  if (place === undefined) return [];
  const query = new URLSearchParams({ service, lon: String(place.point[0]), lat: String(place.point[1]), language });
  const nearby = await call<NearbyRequest[]>(fetch, `/api/portal/nearby?${query.toString()}`);
  return nearby.ok ? nearby.value.slice(0, 3) : [];
}

/** Names the control that a refusal of the server speaks of. */
function errorOf(problem: Problem): { field: string; text: string } {
  return { field: problem.field === '' ? 'description' : problem.field.replace(/^attribute\[(.*)\]$/, 'answer.$1'), text: `${problem.detail || problem.title} ${problem.cure}`.trim() };
}

export const actions: Actions = {
  place: async ({ request, fetch, locals }) => {
    const answers = readAnswers(await request.formData(), 1);
    const words = portalWords(locals.language);
    const { service_code, address } = answers.values;
    if (service_code === '') answers.errors.push({ field: 'service_code', text: words('chooseService') });
    if (address === '') answers.errors.push({ field: 'address', text: words('giveAddress') });
    else answers.places = await findPlaces(fetch, address);
    if (address !== '' && answers.places.length === 0) answers.errors.push({ field: 'address', text: words('addressUnknown', { address }) });
    if (answers.errors.length > 0) return fail(400, answers);
    answers.nearby = await findNearby(fetch, service_code, answers.places[0], locals.language);
    return { ...answers, step: 2 as const };
  },
  change: async ({ request }) => readAnswers(await request.formData(), 1),
  send: async ({ request, fetch, locals }) => {
    const answers = readAnswers(await request.formData(), 2);
    const { service_code, address, description, name, email, phone } = answers.values;
    answers.places = await findPlaces(fetch, address);
    const place = answers.places[answers.chosen] ?? answers.places[0];
    const receipt = await call<PortalReceipt>(fetch, '/api/portal/requests', {
      method: 'POST',
      body: { service_code, description, address: place?.label ?? address, point: place?.point ?? null, language: locals.language, name, email, phone, answers: answers.answers, quiet: answers.quiet, idempotency_key: answers.key },
    });
    if (!receipt.ok) {
      answers.errors.push(errorOf(receipt.problem));
      return fail(receipt.problem.status || 503, answers);
    }
    redirect(303, `/r/${receipt.value.token}?new`);
  },
};
