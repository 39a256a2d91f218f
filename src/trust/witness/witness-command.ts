import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isoOf, Refused, systemClock, unwrap } from '../../kernel/index.ts';
import { createLogger, lockFolder } from '../../platform/index.ts';
import { parsePolicy } from './policy-file.ts';
import { ED25519, formatNoteKey, isKeyName, parseNoteKey, type NoteKey } from './signed-note.ts';
import { listEvidence, openWitnessFolder, readState } from './state-file.ts';
import { buildWitnessServer } from './witness-server.ts';
import { createWitness } from './witness.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const wrongCall = (detail: string, field: string): Refused => new Refused({ code: 'start.config-invalid', detail, field });

/**
 * `clerestory witness --data DIR --port N (--log VKEY… | --policy FILE) [--ml-dsa]` serves until it is told to stop; `clerestory witness show
 * --data DIR` prints what it holds. Gives the exit code, or -1 while it serves.
 */
export async function runWitness(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { data: { type: 'string' }, port: { type: 'string', default: '8090' }, host: { type: 'string', default: '127.0.0.1' }, name: { type: 'string' }, log: { type: 'string', multiple: true }, policy: { type: 'string' }, 'ml-dsa': { type: 'boolean', default: false } },
    allowPositionals: true,
    strict: true,
  });
  const { data } = values;
  if (data === undefined) throw wrongCall('A witness needs --data FOLDER for its key and its state.', 'data');
  if (positionals[0] === 'show') return showWitness(data);
  if (positionals.length > 0) throw wrongCall(`There is no "witness ${positionals.join(' ')}".`, 'witness');
  const port = Number(values.port);
  if (!/^\d{1,5}$/.test(values.port) || port > 65_535) throw wrongCall('--port is a number from 0 to 65535.', 'port');
  if (values.name !== undefined && !isKeyName(values.name)) throw wrongCall('--name has no spaces and no plus, such as paper.example/witness.', 'name');
  await serve({ data, host: values.host, port, name: values.name, mlDsa: values['ml-dsa'], logs: await readLogs(values.log ?? [], values.policy) });
  return -1;
}

async function readLogs(vkeys: readonly string[], policyFile: string | undefined): Promise<NoteKey[]> {
  const fromPolicy = policyFile === undefined ? [] : unwrap(parsePolicy(await readFile(policyFile))).logs.map(({ key }) => key);
  const named = vkeys.map((vkey) => {
    const key = parseNoteKey(vkey.trim());
    if (key?.type !== ED25519) throw wrongCall(`--log takes the verifier key of a log (NAME+HASH+KEY, in quotes), as the city shows it under /log/vkey.`, 'log');
    return key;
  });
  const logs = [...fromPolicy, ...named];
  if (logs.length === 0) throw wrongCall('A witness needs the key of at least one log: --log VKEY, or --policy FILE with a line "log VKEY".', 'log');
  return logs;
}

async function serve(options: { data: string; host: string; port: number; name: string | undefined; mlDsa: boolean; logs: readonly NoteKey[] }): Promise<void> {
  const release = lockFolder(options.data);
  const logger = createLogger('warn');
  const folder = openWitnessFolder(options.data, options.name, options.mlDsa);
  const keys = folder.cosigners.map(({ key }) => key);
  const witness = createWitness({ folder, logs: options.logs, clock: systemClock, logger });
  const http = await buildWitnessServer({ witness, keys, clock: systemClock, logger });
  const url = await http.listen({ host: options.host, port: options.port });
  const stop = (): void => {
    void http.close().then(() => {
      release();
      process.exit(0);
    });
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  say(
    ['', `  Witness   ${folder.state.name}`, ...keys.map((key) => `  Key       ${formatNoteKey(key)}`), `  Address   ${url}`, ...witness.origins.map((origin) => `  Watches   ${origin} (${folder.state.logs[origin]?.size ?? 'no'} entries seen)`), `  Data      ${options.data}`, '', '  Give the city the key and the address. Ctrl-C stops it.', ''].join('\n'),
  );
}

function showWitness(folder: string): number {
  const state = readState(folder);
  const evidence = listEvidence(folder);
  say(`witness  ${state.name}`);
  for (const [origin, seen] of Object.entries(state.logs)) say(['', `log      ${origin}`, `size     ${seen.size} entries`, `root     ${seen.root}`, `signed   ${isoOf(seen.time_s * 1_000)}`].join('\n'));
  if (Object.keys(state.logs).length === 0) say('It has not cosigned anything yet.');
  if (evidence.length > 0) say(`\nIt refused what a log had signed; kept in:\n${evidence.map((name) => `  ${join(folder, 'evidence', name)}`).join('\n')}`);
  return 0;
}
