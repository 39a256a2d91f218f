import type { GateVerdict } from '#contracts/gate.ts';
import type { GateCounts } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import { fail } from '@sveltejs/kit';
import { SAMPLES } from './samples.ts';
import type { Actions, PageServerLoad } from './$types';

const MAX_BYTES = 65_536;

export const load: PageServerLoad = async ({ fetch, url }) => ({ gate: await read<GateCounts>(fetch, '/api/gate'), origin: url.origin });

interface Tried {
  /** What was looked at, to be shown to the one who sent it; empty for a file. */
  readonly text: string;
  readonly name: string;
  readonly verdict: GateVerdict | null;
  readonly error: string;
}

async function readForm(form: FormData): Promise<{ text: string; name: string; bytes: Uint8Array<ArrayBuffer> }> {
  const sample = SAMPLES.find(({ id }) => id === form.get('sample'));
  if (sample !== undefined) return { text: sample.text, name: sample.title, bytes: new TextEncoder().encode(sample.text) };
  const file = form.get('file');
  if (file instanceof File && file.size > 0) return { text: '', name: 'Your file', bytes: file.size > MAX_BYTES ? new Uint8Array(MAX_BYTES + 1) : new Uint8Array(await file.arrayBuffer()) };
  const given = form.get('text');
  const text = typeof given === 'string' ? given : '';
  return { text, name: 'Your text', bytes: new TextEncoder().encode(text.trim()) };
}

export const actions: Actions = {
  default: async ({ request, fetch }) => {
    const { text, name, bytes } = await readForm(await request.formData());
    const refuse = (status: number, error: string) => fail(status, { text, name, verdict: null, error } satisfies Tried);
    if (bytes.length === 0) return refuse(400, 'There is nothing to look at. Paste a text, choose a file or take a sample.');
    if (bytes.length > MAX_BYTES) return refuse(413, 'This is more than 65,536 bytes. The command below takes larger files.');
    const answer = await fetch('/api/gate/try', { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: bytes });
    if (!answer.ok) return refuse(answer.status, answer.status === 429 ? 'Many are trying the gate just now. Try again in a minute.' : 'The gate gave no answer. Try again in a minute.');
    return { text, name, verdict: (await answer.json()) as GateVerdict, error: '' } satisfies Tried;
  },
};
