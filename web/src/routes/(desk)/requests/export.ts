import type { Approval } from '#contracts/approval.ts';
import type { LookRequest } from '#contracts/trust.ts';
import { call, type Answer, type Problem } from '#lib/api/client.ts';

export interface ExportWish {
  /** Days as the form gives them, YYYY-MM-DD; read as UTC. */
  readonly from: string;
  readonly to: string;
  readonly include: readonly ('words' | 'contact')[];
}

const scopeOf = ({ from, to, include }: ExportWish) => ({ from: `${from}T00:00:00.000Z`, to: `${to}T00:00:00.000Z`, include: [...include] });

/** Fetches the CSV and hands it to the browser as a file; gives the refusal, or null. */
export async function exportRequests(look: LookRequest, wish: ExportWish, approval: string): Promise<Problem | null> {
  let response: Response;
  try {
    response = await fetch('/api/requests/export', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...look, scope: scopeOf(wish), ...(approval.trim() === '' ? {} : { approval: approval.trim() }) }) });
  } catch {
    return { status: 0, title: 'The server does not answer', detail: 'The request did not get through.', code: 'no-connection', cure: 'Check the network and try again.', field: '' };
  }
  if (!response.ok) {
    const body = (await response.json().catch(() => ({}))) as Partial<Problem>;
    return { status: response.status, title: body.title ?? `The server answered ${response.status}`, detail: body.detail ?? '', code: body.code ?? '', cure: body.cure ?? '', field: body.field ?? '' };
  }
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = 'requests.csv';
  link.click();
  URL.revokeObjectURL(url);
  return null;
}

export function proposeExport(look: LookRequest, wish: ExportWish): Promise<Answer<Approval>> {
  return call<Approval>(fetch, '/api/requests/export/proposals', { method: 'POST', body: { ...look, scope: scopeOf(wish) } });
}
