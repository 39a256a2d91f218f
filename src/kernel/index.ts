export * from './assert.ts';
export * from './clock.ts';
export * from './digest.ts';
export * from './errors.ts';
export * from './geo.ts';
export * from './ids.ts';
export * from './limits.ts';
export * from './state-machine.ts';
