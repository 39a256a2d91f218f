import type { PurposeRegister } from '../contracts/trust.ts';
import type { DatabaseHandle, Http } from '../platform/index.ts';
import type { Gate } from './gate.ts';
import { countDatastreams } from './purpose-store.ts';
import type { Purposes } from './purposes.ts';

/** GET /api/purposes and GET /api/gate, both public. */
export function registerRegisterRoutes(http: Http, options: { handle: DatabaseHandle; purposes: Purposes; gate: Gate }): void {
  const { purposes, gate } = options;
  http.get('/api/purposes', { config: { action: 'public' } }, async (): Promise<PurposeRegister> => {
    const datastreams = await countDatastreams(options.handle.db);
    return {
      version: purposes.version(),
      since: purposes.since().toISOString(),
      hash: purposes.hash(),
      purposes: purposes.all().map((purpose) => ({ ...purpose, datastreams: datastreams.get(purpose.id) ?? 0, refused: gate.refusedOf(purpose.id) })),
    };
  });
  http.get('/api/gate', { config: { action: 'public' } }, () => gate.counts());
}
