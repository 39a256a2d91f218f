import type { Principal } from '../../contracts/principal.ts';
import type { Refusal } from '../../kernel/index.ts';
import type { Ingest } from '../ingest/ingest.ts';

const UNKNOWN: ReadonlySet<string> = new Set(['gate.stream-unregistered', 'sensing.no-such-entity']);

/** The same ingest, which also tells devices what was taken and refused; `noteUnknown` hears of senders that are no device. */
export function accountDevices<T extends Ingest>(ingest: T, noteUnknown: (pseudonym: string) => void): T {
  const refused = ({ device, pseudonym }: Principal, { code }: Refusal, readings: number): void => {
    if (device !== undefined) device.noteRefused(code, readings);
    else if (UNKNOWN.has(code)) noteUnknown(pseudonym);
  };
  return {
    ...ingest,
    takeOne: async (principal, body, target) => {
      const result = await ingest.takeOne(principal, body, target);
      if (!result.ok) refused(principal, result.refusal, 1);
      else principal.device?.noteTaken(1);
      return result;
    },
    takeDraft: async (principal, body, target) => {
      const result = await ingest.takeDraft(principal, body, target);
      if (!result.ok) refused(principal, result.refusal, 1);
      else principal.device?.noteTaken(1);
      return result;
    },
    takeDataArrays: async (principal, body) => {
      const result = await ingest.takeDataArrays(principal, body);
      if (!result.ok) {
        refused(principal, result.refusal, 1);
        return result;
      }
      let taken = 0;
      const refusals = new Map<string, { refusal: Refusal; readings: number }>();
      for (const answer of result.value) {
        if (typeof answer === 'number') taken += 1;
        else {
          const known = refusals.get(answer.code);
          if (known === undefined) refusals.set(answer.code, { refusal: answer, readings: 1 });
          else known.readings += 1;
        }
      }
      for (const { refusal, readings } of refusals.values()) refused(principal, refusal, readings);
      if (taken > 0) principal.device?.noteTaken(taken);
      return result;
    },
  };
}
