export { correctObservation, type ObservationValues } from './correction-store.ts';
export { countAllObservations, type Run } from './batch-store.ts';
export type { ObservationExtra, ObservationRow } from './observation-row.ts';
export { edgeOf } from './edge.ts';
export { readOldestDay } from './oldest-store.ts';
export { removeObservations, removeObservationsOfStreams, removeObservationsWhere } from './removal-store.ts';
