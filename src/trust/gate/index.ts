export { createGate, type Author, type Gate } from './gate.ts';
export { openGateLedger } from './gate-ledger.ts';
export { registerGateRoutes } from './gate-routes.ts';
export { countedBy, floorNotice } from './floor.ts';
export { registrationOf, type GateRegistration } from './registration.ts';
export { verifyGate } from './verify-gate.ts';
