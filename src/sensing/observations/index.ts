export { correctObservation, readCorrections, type FormerValue, type ObservationValues } from './correction-store.ts';
export { countAllObservations, tailBatches, type Batch, type BatchTail, type Run } from './batch-store.ts';
export type { ObservationExtra, ObservationRow } from './observation-row.ts';
export { edgeOf } from './edge.ts';
export { readOldestDay } from './oldest-store.ts';
export { removeObservations, removeObservationsOfStreams, removeObservationsWhere, unsealObservations } from './removal-store.ts';
