export { createSensing, type Sensing, type SensingDeps } from './sensing.ts';
