export { createRegisterChanges } from './changes.ts';
export { createPartsDirectory, type PartsDirectory } from './parts.ts';
export { createPurposes, readPurposes, type PurposeRegistry, type Purposes } from './purposes.ts';
export { hasEnded } from './register.ts';
export { verifyPurpose } from './verify-command.ts';
export { registerPurposeRoutes } from './routes.ts';
