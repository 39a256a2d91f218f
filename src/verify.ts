import { parseArgs } from 'node:util';
import { verifyAccess, verifyErase, verifyGate, verifyLog, verifyProofFile, verifyPurpose, verifyWitness } from './trust/index.ts';
import { verifyBuild } from './verify/build.ts';
import { verifyEgress } from './verify/egress.ts';

/** One promise and the command that checks it; see docs/reference/verify.md. */
interface PromiseCheck {
  /** What follows `clerestory verify NAME` on the command line. */
  readonly call: string;
  readonly purpose: string;
  /** Prints what it proved and what it did not. Gives the exit code: 0 holds, 1 does not hold, 2 nothing to check; null for a wrong call. */
  run(args: string[]): Promise<number> | null;
}

/** By name, in the order of the page /trust. */
const CHECKS: Readonly<Record<string, PromiseCheck>> = {
  log: {
    call: 'URL|DIR [--key VKEY] [--since FILE]',
    purpose: 're-check a whole transparency log, offline for a DIR; FILE is a checkpoint that you kept',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { key: { type: 'string' }, since: { type: 'string' } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined ? null : verifyLog(positionals[0], values);
    },
  },
  proof: {
    call: 'FILE --entry FILE --key VKEY|--policy FILE',
    purpose: 'check a proof of one entry that you kept, offline',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { entry: { type: 'string' }, key: { type: 'string' }, policy: { type: 'string' } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined ? null : verifyProofFile(positionals[0], values);
    },
  },
  witness: {
    call: 'URL|DIR --policy FILE [--offline]',
    purpose: 'whether enough outside witnesses have cosigned the log, and whether what they hold fits it',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { policy: { type: 'string' }, offline: { type: 'boolean', default: false } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined || values.policy === undefined ? null : verifyWitness(positionals[0], { policy: values.policy, offline: values.offline });
    },
  },
  access: {
    call: 'FILE [--key VKEY | --policy FILE] [--log URL|DIR]',
    purpose: 'check the record of looks that a resident downloaded; with --log also that none was kept back',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { key: { type: 'string' }, policy: { type: 'string' }, log: { type: 'string' } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined ? null : verifyAccess(positionals[0], values);
    },
  },
  gate: {
    call: 'FILE [--country DE]',
    purpose: 'what the gate says to each line or document of a file, offline',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { country: { type: 'string' } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined ? null : verifyGate(positionals[0], values);
    },
  },
  purpose: {
    call: 'URL|--data DIR [--key VKEY]',
    purpose: 'compare the register of purposes with what the city has, and its versions with the log',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { data: { type: 'string' }, key: { type: 'string' } }, allowPositionals: true, strict: true });
      return verifyPurpose({ ...values, ...(positionals[0] === undefined ? {} : { url: positionals[0] }) });
    },
  },
  erase: {
    call: 'RECEIPT [--key VKEY | --policy FILE] [--data DIR|FILE …]',
    purpose: 'check the receipt of an erasure, and search folders and backups for what was destroyed',
    run: (args) => {
      const { values, positionals } = parseArgs({ args, options: { key: { type: 'string' }, policy: { type: 'string' }, data: { type: 'string', multiple: true } }, allowPositionals: true, strict: true });
      return positionals[0] === undefined ? null : verifyErase(positionals[0], values);
    },
  },
  egress: {
    call: '[--seconds N] [--demo]',
    purpose: 'run this installation where the only way out is a decoy, and count what leaves (Linux, root)',
    run: (args) => {
      const { values } = parseArgs({ args, options: { seconds: { type: 'string', default: '60' }, demo: { type: 'boolean', default: false } }, strict: true });
      const seconds = Number(values.seconds);
      return Number.isInteger(seconds) && seconds >= 1 && seconds <= 86_400 ? verifyEgress({ seconds, demo: values.demo }, console.log) : null;
    },
  },
  build: {
    call: '[--expect HASH]',
    purpose: 'compare sources, installed packages, lock file and bill of materials',
    run: (args) => {
      const { values } = parseArgs({ args, options: { expect: { type: 'string' } }, strict: true });
      return verifyBuild(values, console.log);
    },
  },
};

/** Runs `verify NAME …`; undefined when there is no such check. */
export async function verifyPromise([name, ...args]: string[]): Promise<number | undefined> {
  const check = name !== undefined && Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined;
  const ran = check?.run(args);
  if (ran !== null) return ran;
  console.error(`clerestory: the call is\n\n  clerestory verify ${String(name)} ${String(check?.call)}\n`);
  return 2;
}

/** The lines of the usage text. */
export const describePromises = (): string => Object.entries(CHECKS).map(([name, { call, purpose }]) => `  clerestory verify ${name} ${call}\n${' '.repeat(53)}${purpose}`).join('\n');
