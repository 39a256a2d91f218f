export { createSensing, type Sensing } from './sensing.ts';
export { readFeedFile } from './adapters/feed-file.ts';
