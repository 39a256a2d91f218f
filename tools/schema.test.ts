import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { freshDatabase } from '../test/database.ts';
import { SNAPSHOT, describeSchema } from './schema.ts';

test('the committed schema snapshot is what the migrations make', async () => {
  const { pool } = await freshDatabase();
  expect(await describeSchema(pool)).toBe(readFileSync(SNAPSHOT, 'utf8'));
});

test('every table says in its comment which purpose it serves', async () => {
  const { pool } = await freshDatabase();
  const { rows } = await pool.query<{ name: string }>(
    `select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname not like 'kysely%'
     and coalesce(obj_description(c.oid), '') not like 'purpose: %'`,
  );
  expect(rows.map((row) => row.name)).toEqual([]);
});
