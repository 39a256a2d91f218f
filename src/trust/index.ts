export { createDoorkeeper } from './doorkeeper.ts';
export { createGate, registrationOf, type Gate, type GateRegistration } from './gate.ts';
export { mintToken } from './identity/tokens.ts';
export { verifyLog } from './log/verify-command.ts';
export { authorize } from './policy.ts';
export { hashSecret } from './secret-hash.ts';
export { createTrust, type Trust } from './trust.ts';
