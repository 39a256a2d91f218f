import { z } from 'zod';
import { DeviceAct, NewDevice, type Device, type DeviceCredential, type DeviceCsvReport, type DeviceList } from '../../contracts/device.ts';
import { LIMITS, Refused, unwrap, type Refusal } from '../../kernel/index.ts';
import type { Http } from '../../platform/index.ts';
import type { Trust } from '../../trust/index.ts';
import { credentialsCsv, readDeviceCsv, templateCsv } from './device-csv.ts';
import type { Devices } from './devices.ts';

const Id = z.strictObject({ id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'It is no id of a device.') });
const Search = z.strictObject({ q: z.string().trim().max(100).regex(/^[^\0]*$/, 'It has a NUL in it.').default('') });
const DryRun = z.strictObject({ dryRun: z.enum(['true', 'false']).default('true') });

/** The page /devices and everybody's own scripts: reading needs operations.read, changing register.manage. */
export async function registerDeviceRoutes(http: Http, devices: Devices, purposes: Pick<Trust['purposes'], 'live' | 'all'>, refuseName: (name: string) => Refusal | null): Promise<void> {
  const read = { action: 'operations.read' as const };
  const change = { action: 'register.manage' as const };

  http.get('/api/devices', { config: read, schema: { querystring: Search } }, (request): Promise<DeviceList> => devices.list(request.query.q));
  http.get('/api/devices/:id', { config: read, schema: { params: Id } }, async (request): Promise<Device> => unwrap(await devices.find(request.params.id)));
  http.post('/api/devices', { config: change, schema: { body: NewDevice } }, async (request, reply): Promise<DeviceCredential> => {
    const [made] = unwrap(await devices.add([request.body], request.principal));
    if (made === undefined) throw new Error('a device was added and is not in the answer');
    void reply.code(201).header('cache-control', 'no-store').header('location', `/api/devices/${made.device.id}`);
    return made;
  });
  http.post('/api/devices/:id/token', { config: change, schema: { params: Id } }, async (request, reply): Promise<DeviceCredential> => {
    void reply.header('cache-control', 'no-store');
    return unwrap(await devices.rotate(request.params.id));
  });
  http.post('/api/devices/:id/state', { config: change, schema: { params: Id, body: DeviceAct } }, async (request): Promise<Device> => unwrap(await devices.act(request.params.id, request.body)));
  const remove = async (id: string): Promise<null> => unwrap(await devices.remove(id));
  http.delete('/api/devices/:id', { config: change, schema: { params: Id } }, async (request, reply) => {
    await remove(request.params.id);
    return reply.code(204).send();
  });
  http.get('/api/devices/template.csv', { config: read }, (_request, reply) => {
    const purpose = purposes.all().find(({ id, personal_data }) => !personal_data && purposes.live(id))?.id ?? 'city-operations';
    return reply.header('content-type', 'text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="devices.csv"').send(templateCsv(purpose));
  });

  await http.register(async (scope) => {
    scope.addContentTypeParser('text/csv', { parseAs: 'string', bodyLimit: LIMITS.body_bytes }, (_request, body, done) => done(null, body));
    scope.post<{ Querystring: z.infer<typeof DryRun> }>('/api/devices/csv', { config: change, schema: { querystring: DryRun } }, async (request, reply): Promise<DeviceCsvReport> => {
      if (typeof request.body !== 'string') throw new Refused({ code: 'http.unsupported-type', detail: 'Send the table as text/csv.', field: 'content-type' });
      const { rows, faults } = unwrap(readDeviceCsv(request.body, (id) => purposes.live(id), refuseName));
      void reply.header('cache-control', 'no-store');
      const wanted = rows.map(({ device }) => device).filter((device) => device !== null);
      if (request.query.dryRun === 'true' || faults.length > 0) return { rows: rows.length, faults: faults.slice(0, LIMITS.page_default_rows), made: 0, csv: null };
      const added = await devices.add(wanted, request.principal);
      if (added.ok) return { rows: rows.length, faults: [], made: added.value.length, csv: credentialsCsv(added.value) };
      const at = Number.parseInt(added.refusal.field ?? '0', 10);
      return { rows: rows.length, faults: [{ line: rows[at]?.line ?? 0, column: added.refusal.field?.replace(/^\d+\./, '') ?? '', detail: added.refusal.detail }], made: 0, csv: null };
    });
  });
}
