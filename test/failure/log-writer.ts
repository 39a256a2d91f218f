// The process that log-crash.test.ts kills: appends with 200 appends in flight and writes "INDEX COMMIT" to a file for each acknowledged one.
import { randomBytes } from 'node:crypto';
import { openSync, writeSync } from 'node:fs';
import { systemClock, systemRandom } from '../../src/kernel/index.ts';
import { createMetrics, openDatabase, silentLogger } from '../../src/platform/index.ts';
import { readOrMakeSigningKey } from '../../src/trust/keys/key-files.ts';
import { openLog } from '../../src/trust/log/log.ts';

const [dataFolder = '', connection = '{}', acknowledgements = ''] = process.argv.slice(2);
const handle = openDatabase(JSON.parse(connection) as object, silentLogger, 2);
const log = await openLog({
  handle,
  clock: systemClock,
  random: systemRandom,
  logger: silentLogger,
  metrics: createMetrics(),
  dataFolder,
  publicUrl: 'http://city.example:8080',
  signingKey: readOrMakeSigningKey(dataFolder),
});

const file = openSync(acknowledgements, 'a');
const appendForever = async (): Promise<void> => {
  for (;;) {
    const commit = randomBytes(32).toString('hex');
    const index = await log.append({ kind: 'test', t: '2026-11-24T06:00:00.000Z', commit });
    writeSync(file, `${index} ${commit}\n`);
  }
};
await Promise.all(Array.from({ length: 200 }, appendForever));
