import { z } from 'zod';
import { Instant } from './common.ts';

/** POST /api/gate/try: what the gate would say. Places are given as offsets; the content never is. */
export const GateVerdict = z.object({
  refused: z.boolean(),
  rules: z.array(z.string()),
  findings: z.array(
    z.object({
      rule: z.string(),
      /** What it refuses, in plain words. */
      meaning: z.string(),
      /** Where in the document; names that are not plain are masked. */
      path: z.string(),
      start: z.number().int(),
      end: z.number().int(),
      /** Encodings around it, from outside in. */
      through: z.array(z.string()),
    }),
  ),
});
export type GateVerdict = z.infer<typeof GateVerdict>;

export const GateQuarantine = z.object({ streams: z.array(z.object({ stream: z.number().int(), name: z.string(), rule: z.string(), since: Instant })) });
export type GateQuarantine = z.infer<typeof GateQuarantine>;

export const GateRelease = z.strictObject({ reason: z.string().trim().min(10).max(500) });
