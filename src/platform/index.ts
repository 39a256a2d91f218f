export * from './bus.ts';
export * from './database/database.ts';
export { startEmbeddedDatabase, lockFolder } from './database/supervisor.ts';
export * from './http.ts';
export * from './live.ts';
export * from './logger.ts';
export * from './metrics.ts';
export { createMqttBroker, type MqttBroker, type MqttPeer } from './mqtt.ts';
