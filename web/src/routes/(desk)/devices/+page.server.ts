import type { DeviceList } from '#contracts/device.ts';
import type { GateQuarantine } from '#contracts/gate.ts';
import type { PurposeRegister } from '#contracts/trust.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch }) => {
  const [list, register, held] = await Promise.all([read<DeviceList>(fetch, '/api/devices'), read<PurposeRegister>(fetch, '/api/purposes'), read<GateQuarantine>(fetch, '/api/gate/quarantine')]);
  const today = new Date().toISOString().slice(0, 10);
  const purposes = register.purposes.filter(({ personal_data, ends }) => !personal_data && (ends === null || ends >= today)).map(({ id, title }) => ({ id, title }));
  return { list, purposes, held: held.streams };
};
