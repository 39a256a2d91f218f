import type { DeviceBinding, Principal } from '../../contracts/principal.ts';
import type { Refusal } from '../../kernel/index.ts';

/** Why a device may not use this Datastream now, or null. In memory: it runs for each message. */
export function refusalOf(device: DeviceBinding, datastreamId: number): Refusal | null {
  if (device.state === 'active') return device.streams.has(datastreamId) ? null : { code: 'device.stream-not-own', detail: `Datastream ${String(datastreamId)} is not bound to this device.`, field: 'Datastream' };
  return device.state === 'quarantined' ? QUARANTINED : { code: 'auth.invalid', detail: 'The device was revoked.' };
}

const QUARANTINED: Refusal = { code: 'device.quarantined', detail: 'Nothing is taken from this device until somebody has looked at it.' };

/** A device's credential writes readings and nothing else: no entity is made or changed with it. */
export function refuseEntities(principal: Principal): Refusal | null {
  return principal.device === undefined ? null : { code: 'auth.forbidden', detail: 'The credential of a device writes readings of its own Datastreams and nothing else.' };
}
