export { createSensing, type Sensing } from './sensing.ts';
