import { call } from '#lib/api/client.ts';
import { error } from '@sveltejs/kit';

/** Reads a public address of the API; its refusal becomes the error page. */
export async function read<T>(fetch: typeof globalThis.fetch, path: string): Promise<T> {
  const answer = await call<T>(fetch, path);
  if (!answer.ok) error(answer.problem.status || 503, { message: answer.problem.title, code: answer.problem.code });
  return answer.value;
}
