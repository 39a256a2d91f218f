import { randomBytes } from 'node:crypto';
import { afterAll, inject } from 'vitest';
import { openDatabase, silentLogger, type DatabaseHandle } from '../src/platform/index.ts';

/** A fresh, migrated, empty database on the real embedded PostgreSQL; dropped after the test file. */
export async function freshDatabase(): Promise<DatabaseHandle> {
  const { host, port, user, template } = inject('database');
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = openDatabase({ host, port, user, database: 'postgres' }, silentLogger, 1);
  await admin.pool.query(`create database ${name} template ${template}`);
  await admin.close();
  const handle = openDatabase({ host, port, user, database: name }, silentLogger, 10);
  afterAll(() => handle.close());
  return handle;
}
