export { createRegisterChanges, type RegisterChanges } from './changes.ts';
export { createPartsDirectory, type AlgorithmCard, type PartKind, type PartsDirectory } from './parts.ts';
export { createPurposes, readPurposes, type PurposeRegistry, type Purposes } from './purposes.ts';
export { hasEnded, parseRegister } from './register.ts';
export { verifyPurpose } from './verify-command.ts';
export { registerPurposeRoutes } from './routes.ts';
