import { defineConfig } from 'vitest/config';

const folder = (path: string): string => new URL(path, import.meta.url).pathname;
const alias = { '#contracts': folder('./src/contracts'), '#lib': folder('./web/src/lib'), '#messages': folder('./web/messages') };
const project = (name: string, include: string[], extra: Record<string, unknown> = {}) => ({
  resolve: { alias },
  test: { name, include, testTimeout: 30_000, hookTimeout: 90_000, globalSetup: ['test/global-setup.ts'], setupFiles: ['test/seed.ts'], ...extra },
});

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    projects: [
      project('unit', ['src/**/*.test.ts', 'demo/**/*.test.ts', 'tools/**/*.test.ts', 'web/src/**/*.test.ts']),
      project('conformance', ['test/conformance/**/*.test.ts']),
      project('system', ['test/system/**/*.test.ts'], { testTimeout: 120_000 }),
      project('failure', ['test/failure/**/*.test.ts'], { testTimeout: 300_000 }),
      project('browser', ['test/browser/**/*.test.ts'], { testTimeout: 180_000 }),
    ],
  },
});
