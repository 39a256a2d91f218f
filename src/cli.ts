import { parseArgs } from 'node:util';
import { POSITIONS, type Position } from './contracts/principal.ts';
import { loadConfig } from './config.ts';
import { Refused } from './kernel/index.ts';
import { mintToken, restartLog, runBroker, runWitness } from './trust/index.ts';
import { describePromises, verifyPromise } from './verify.ts';

const USAGE = `clerestory: the open city operations centre

  clerestory start [--empty] [--print-config]        start the city (the same as npm start)
  clerestory token --role ROLE [--purpose ID]        print a bearer token for scripts and devices
                                                     (Authorization: Bearer …, or the MQTT password)
${describePromises()}
  clerestory witness --data DIR --port N [--host H] [--name NAME] (--log VKEY … | --policy FILE) [--ml-dsa]
                                                     watch the logs of others: cosign what continues what was seen
  clerestory witness show --data DIR                 print what a witness holds
  clerestory broker --socket PATH                    the key broker as a process of its own, for CLERESTORY_BROKER
  clerestory log restart --reason TEXT [--since FILE] [--origin NAME]
                                                     begin a new log that names the old one (city stopped)
  clerestory help

roles: ${POSITIONS.join(', ')}
`;

/** Runs one command; resolves with the exit code. 2 means that the call itself was wrong. */
async function run(args: string[]): Promise<number> {
  const [command, ...rest] = args;
  switch (command) {
    case 'start':
      process.argv.splice(2, process.argv.length, ...rest);
      await import('./main.ts');
      return -1; // the city stops by itself
    case 'token':
      return printToken(rest);
    case 'witness':
      return runWitness(rest);
    case 'broker':
      return broker(rest);
    case 'log':
      return rest[0] === 'restart' ? restart(rest.slice(1)) : complain('log has one command: log restart');
    case 'verify':
      return (await verifyPromise(rest)) ?? complain('verify needs one of the commands below');
    case undefined:
    case 'help':
    case '--help':
      console.log(USAGE);
      return 0;
    default:
      return complain(`there is no command ${command}`);
  }
}

function printToken(args: string[]): number {
  const { values } = parseArgs({ args, options: { role: { type: 'string' }, purpose: { type: 'string' } }, strict: true });
  const position = POSITIONS.find((known) => known === values.role?.replace('-', '_')) satisfies Position | undefined;
  if (position === undefined) return complain(`--role must be one of ${POSITIONS.join(', ')}`);
  const { config } = loadConfig(process.env);
  console.log(mintToken(config.data, { position, ...(values.purpose === undefined ? {} : { purpose: values.purpose }) }));
  return 0;
}

function restart(args: string[]): number {
  const { values } = parseArgs({ args, options: { reason: { type: 'string' }, since: { type: 'string' }, origin: { type: 'string' } }, strict: true });
  const { reason, ...rest } = values;
  return reason === undefined ? complain('log restart needs a --reason; it is published') : restartLog(loadConfig(process.env).config.data, { reason, ...rest });
}

function broker(args: string[]): Promise<number> | number {
  const { values } = parseArgs({ args, options: { socket: { type: 'string' } }, strict: true });
  const { config } = loadConfig(process.env);
  const socket = values.socket ?? config.broker;
  return socket === undefined ? complain('broker needs the path to listen on: --socket PATH or CLERESTORY_BROKER') : runBroker(config.data, socket, config);
}

function complain(text: string): number {
  console.error(`clerestory: ${text}\n\n${USAGE}`);
  return 2;
}

/** What the caller can mend; undefined for a fault of the program. */
function wordsOf(error: unknown): string | undefined {
  if (error instanceof Refused) return error.message;
  if (!(error instanceof Error)) return undefined;
  const { code = '', path } = error as NodeJS.ErrnoException;
  if (code.startsWith('ERR_PARSE_ARGS_')) return error.message;
  if (path !== undefined && ['ENOENT', 'EACCES', 'EISDIR', 'ENOTDIR'].includes(code)) return `the file ${path} cannot be read (${code})`;
  // what the Fetch standard throws for a network error; the reason stands in the cause
  if (error instanceof TypeError && error.message === 'fetch failed') return `the address cannot be reached: ${error.cause instanceof Error ? error.cause.message || error.cause.name : 'no reason was given'}`;
  return undefined;
}

// whoever reads the lines may have read enough, such as head
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});
try {
  const code = await run(process.argv.slice(2));
  if (code >= 0) process.exitCode = code;
} catch (error) {
  const words = wordsOf(error);
  if (words === undefined) throw error;
  console.error(`clerestory: ${words}`);
  process.exitCode = 2;
}
