import variant from '@jitl/quickjs-wasmfile-release-sync';
import { newQuickJSWASMModuleFromVariant, newVariant, type QuickJSContext, type QuickJSHandle, type QuickJSSyncVariant, type QuickJSWASMModule } from 'quickjs-emscripten-core';

/** What a codec is given; bytes as an array of numbers, as both network servers do. */
export interface CodecInput {
  readonly bytes: Uint8Array;
  readonly fPort: number;
  readonly receivedMs: number;
  /** Variables of the device, as ChirpStack hands them over. */
  readonly variables: Readonly<Record<string, string>>;
}

/** The decoded fields, or why there are none. */
export type CodecAnswer = { readonly fields: Readonly<Record<string, unknown>> } | { readonly detail: string };

const PAGE_BYTES = 65_536;
const MEMORY_BYTES = 16 * 1_048_576;
const STACK_BYTES = 262_144;
const TIME_MS = 50;
const OUTPUT_CHARS = 16_384;
const MESSAGE_CHARS = 200;

// The present form of both servers, decodeUplink(input); Decode(fPort, bytes, variables) of ChirpStack 3; Decoder(bytes, port) of The Things Network 2
const CALL = `(function (bytes, fPort, receivedMs, variables) {
  if (typeof decodeUplink === 'function') return JSON.stringify(decodeUplink({ bytes: bytes, fPort: fPort, recvTime: new Date(receivedMs), variables: variables }));
  if (typeof Decode === 'function') return JSON.stringify({ data: Decode(fPort, bytes, variables) });
  if (typeof Decoder === 'function') return JSON.stringify({ data: Decoder(bytes, fPort) });
  throw new Error('it has none of decodeUplink(input), Decode(fPort, bytes, variables) and Decoder(bytes, port)');
})`;

const cpuUs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return user + system;
};

class CodecFault extends Error {}

// The limit that QuickJS counts itself misses most of what this build allocates, so the linear memory is what cannot grow
let module: Promise<QuickJSWASMModule> | undefined;
// the types of the package describe its CommonJS form, and the types of Node.js have no WebAssembly
const release = variant as unknown as QuickJSSyncVariant;
const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (pages: { initial: number; maximum: number }) => never } }).WebAssembly;
const loadModule = (): Promise<QuickJSWASMModule> => newQuickJSWASMModuleFromVariant(newVariant(release, { wasmMemory: new Memory({ initial: MEMORY_BYTES / PAGE_BYTES, maximum: MEMORY_BYTES / PAGE_BYTES }) }));

/** Runs a payload codec in a JavaScript machine of its own: no I/O, 16 MiB, 50 ms, and nothing left of one message for the next. */
export async function runCodec(source: string, { bytes, fPort, receivedMs, variables }: CodecInput): Promise<CodecAnswer> {
  module ??= loadModule();
  let late = false;
  try {
    const runtime = (await module).newRuntime();
    // of this thread alone: a busy machine is not the codec's fault
    const startUs = cpuUs();
    runtime.setMaxStackSize(STACK_BYTES);
    runtime.setInterruptHandler(() => (late ||= cpuUs() - startUs > TIME_MS * 1_000));
    const context = runtime.newContext();
    try {
      return { fields: readOutput(evaluate(context, source, [[...bytes], fPort, receivedMs, variables])) };
    } finally {
      context.dispose();
      runtime.dispose();
    }
  } catch (error) {
    if (!(error instanceof CodecFault)) module = undefined; // an abort leaves the machine unusable
    if (late) return { detail: `It ran for more than ${TIME_MS} ms.` };
    return { detail: error instanceof CodecFault ? error.message : 'It used up its memory.' };
  }
}

function evaluate(context: QuickJSContext, source: string, input: readonly unknown[]): string {
  const take = (result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle => {
    if (!result.error) return result.value;
    const thrown = result.error.consume<unknown>((handle) => context.dump(handle) as unknown);
    throw new CodecFault(`It threw: ${messageOf(thrown)}`);
  };
  take(context.evalCode(source, 'codec.js', { type: 'global' })).dispose();
  const args = input.map((part) => JSON.stringify(part)).join(',');
  return take(context.evalCode(`${CALL}(${args})`, 'call.js', { type: 'global' })).consume<string>((answer) => {
    if (context.typeof(answer) !== 'string') throw new CodecFault('It returned nothing.');
    const length = context.getProp(answer, 'length').consume((handle) => context.getNumber(handle));
    if (length > OUTPUT_CHARS) throw new CodecFault(`It returned more than ${OUTPUT_CHARS} characters of JSON.`);
    return context.getString(answer);
  });
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ').slice(0, MESSAGE_CHARS);

function messageOf(thrown: unknown): string {
  const message = typeof thrown === 'object' && thrown !== null && 'message' in thrown ? thrown.message : thrown;
  return typeof message === 'string' ? oneLine(message) : 'an error without a message';
}

function readOutput(text: string): Readonly<Record<string, unknown>> {
  const answer = JSON.parse(text) as unknown;
  const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(answer)) throw new CodecFault('It did not return {data: {…}}.');
  const { data, errors } = answer;
  if (Array.isArray(errors) && errors.length > 0) throw new CodecFault(`It reports: ${oneLine(String(errors[0]))}`);
  if (!isObject(data)) throw new CodecFault('It did not return {data: {…}}.');
  return data;
}
