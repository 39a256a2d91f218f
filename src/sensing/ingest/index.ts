export type { MadeEntities } from './ingest.ts';
export type { InlineEntities } from './observation-body.ts';
