import { mkdtempSync, rmSync, chmodSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { openDatabase, migrate, silentLogger, startEmbeddedDatabase } from '../src/platform/index.ts';

declare module 'vitest' {
  interface ProvidedContext {
    database: { host: string; port: number; user: string; template: string };
  }
}

/** One embedded PostgreSQL for the whole run of a project, with a migrated template that every test file copies. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'clerestory-test-'));
  chmodSync(folder, 0o755);
  // fsync off: these tests look at logic; durability has its own tests on real settings.
  const embedded = await startEmbeddedDatabase(folder, silentLogger, { fsync: 'off', max_connections: '200', shared_buffers: '64MB' });
  const admin = openDatabase(embedded.connection, silentLogger, 1);
  await admin.pool.query('create database template_city');
  await admin.close();
  const template = openDatabase({ ...embedded.connection, database: 'template_city' }, silentLogger, 2);
  await migrate(template.db);
  await template.close();
  const { host, port, user } = embedded.connection;
  project.provide('database', { host, port, user, template: 'template_city' });
  return async () => {
    await embedded.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}
