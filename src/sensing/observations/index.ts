export type { ObservationExtra, ObservationRow } from './observation-row.ts';
