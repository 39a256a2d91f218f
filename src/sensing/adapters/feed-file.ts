import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Refused, refuse, type Refusal, type Result } from '../../kernel/index.ts';
import { originOf, type EgressHost } from '../../platform/index.ts';

/** One entry of `feeds` in city/feeds.yaml, whose options its adapter has yet to read. */
export interface FeedEntry {
  readonly name: string;
  readonly adapter: string;
  readonly purpose: string;
  /** Undefined: what the adapter thinks right. */
  readonly interval_s: number | undefined;
  readonly enabled: boolean;
  readonly options: unknown;
}

/** An entry that cannot be read; the others run. */
export interface BrokenEntry {
  readonly name: string;
  readonly adapter: string;
  readonly refusal: Refusal;
}

export interface FeedFile {
  /** What is wrong with the file as a whole; then there are no feeds. */
  readonly problem: string | null;
  readonly egress: readonly EgressHost[];
  readonly feeds: readonly (FeedEntry | BrokenEntry)[];
}

const FEEDS_MAX = 500;
const FILE_CHARS = 1_048_576;
/** Addresses under /api/feeds that are no feeds. */
const RESERVED: ReadonlySet<string> = new Set(['setup']);

const Entry = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/, 'Use small letters, digits and hyphens.'),
  adapter: z.string().max(63),
  purpose: z.string().max(63),
  interval_s: z.number().min(5).max(31 * 86_400).optional(),
  enabled: z.boolean().default(true),
  options: z.unknown().optional(),
});
const Egress = z.union([z.string().max(300), z.strictObject({ host: z.string().max(300), private: z.boolean().default(false) })]);
const File = z.strictObject({ egress: z.array(Egress).max(1_000).default([]), feeds: z.array(z.unknown()).max(FEEDS_MAX).default([]) });

const nothing = (problem: string | null): FeedFile => ({ problem, egress: [], feeds: [] });

/** Reads city/feeds.yaml. Never throws: what is wrong is said, and stops no other feed. */
export function readFeedFile(yaml: string | null): FeedFile {
  if (yaml === null) return nothing(null);
  if (yaml.length > FILE_CHARS) return nothing(`feeds.yaml is longer than ${FILE_CHARS} characters.`);
  let document: unknown;
  try {
    document = parseYaml(yaml, { maxAliasCount: 100 }) ?? {};
  } catch (error) {
    return nothing(`feeds.yaml is not well-formed YAML: ${(error as Error).message.split('\n')[0] ?? ''}`);
  }
  const parsed = File.safeParse(document);
  if (!parsed.success) return nothing(`feeds.yaml is not valid at ${describe(parsed.error)}`);
  const egress: EgressHost[] = [];
  for (const line of parsed.data.egress) {
    const entry = typeof line === 'string' ? { host: line, private: false } : line;
    try {
      originOf(entry.host);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      return nothing(`feeds.yaml is not valid at ${error.refusals[0].field ?? 'egress'}: ${error.refusals[0].detail}`);
    }
    egress.push(entry);
  }
  return { problem: null, egress, feeds: withUniqueNames(parsed.data.feeds.map(readEntry)) };
}

function readEntry(sent: unknown, at: number): FeedEntry | BrokenEntry {
  const parsed = Entry.safeParse(sent);
  if (parsed.success) {
    const { name } = parsed.data;
    return RESERVED.has(name) ? broken(name, parsed.data.adapter, 'name', `${name} is the name of a page; choose another.`) : { ...parsed.data, interval_s: parsed.data.interval_s, options: parsed.data.options ?? {} };
  }
  const said = (key: string): string | null => (typeof sent === 'object' && sent !== null && typeof (sent as Record<string, unknown>)[key] === 'string' ? ((sent as Record<string, string>)[key] ?? '').slice(0, 63) : null);
  const issue = parsed.error.issues[0];
  return broken(said('name') ?? `feeds[${at}]`, said('adapter') ?? '', fieldOf(issue), issue?.message ?? '');
}

function withUniqueNames(entries: readonly (FeedEntry | BrokenEntry)[]): (FeedEntry | BrokenEntry)[] {
  const seen = new Set<string>();
  return entries.map((entry, at) => {
    if (!seen.has(entry.name)) {
      seen.add(entry.name);
      return entry;
    }
    return broken(`feeds[${at}]`, entry.adapter, 'name', `The name ${entry.name} stands twice.`);
  });
}

const broken = (name: string, adapter: string, field: string, detail: string): BrokenEntry => ({ name, adapter, refusal: { code: 'feed.config-invalid', detail: `${name}, ${field}: ${detail}`, field } });

/** Reads the options of a feed by the schema of its adapter, or says which field is wrong. */
export function readOptions<Options>(schema: z.ZodType<Options>, options: unknown, name: string): Result<Options> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return { ok: true, value: parsed.data };
  const field = `options.${fieldOf(parsed.error.issues[0])}`.replace(/\.$/, '');
  return refuse('feed.config-invalid', `${name}, ${field}: ${parsed.error.issues[0]?.message ?? ''}`, field);
}

function fieldOf(issue: { readonly path: readonly PropertyKey[]; readonly code?: string } | undefined): string {
  const path = (issue?.path ?? []).map(String).join('.');
  const unknown = issue !== undefined && issue.code === 'unrecognized_keys' && 'keys' in issue ? (issue.keys as string[])[0] : undefined;
  return unknown === undefined ? path : path === '' ? unknown : `${path}.${unknown}`;
}

const describe = (error: z.ZodError): string => `${fieldOf(error.issues[0]) || 'its top'}: ${error.issues[0]?.message ?? ''}`;
