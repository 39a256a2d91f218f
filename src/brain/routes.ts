import { z } from 'zod';
import { Refused, isoOf, type Clock } from '../kernel/index.ts';
import { type Http } from '../platform/index.ts';
import { Instant } from '../contracts/common.ts';
import { RuleCheckRequest, type RuleCheck, type Rules, type Warnings } from '../contracts/warning.ts';
import { type Engine } from './engine.ts';
import { loadRules, type PurposeRegister, type Rule } from './rule.ts';
import { type RuleVersion, type WarningStore } from './warning-store.ts';

const WARNINGS_MAX = 1_000;
const DAY_MS = 86_400_000;
const SPAN_MAX_MS = 366 * DAY_MS;

export interface RoutesOptions {
  readonly engine: Engine;
  readonly store: WarningStore;
  readonly rules: readonly Rule[];
  readonly versions: ReadonlyMap<string, RuleVersion>;
  readonly purposes: PurposeRegister;
  readonly clock: Clock;
}

/** GET /api/rules, GET /api/warnings, POST /api/rules/check. */
export function registerBrainRoutes(http: Http, options: RoutesOptions): void {
  const { engine, store, rules, versions, purposes, clock } = options;
  http.get('/api/rules', { config: { action: 'operations.read' } }, async (): Promise<Rules> => ({ rules: rules.map((rule) => summaryOf(rule, versions.get(rule.id), engine)) }));

  http.get(
    '/api/warnings',
    { config: { action: 'operations.read' }, schema: { querystring: z.strictObject({ from: Instant.optional(), to: Instant.optional() }) } },
    async (request): Promise<Warnings> => {
      const toMs = request.query.to === undefined ? clock.nowMs() + 1 : Date.parse(request.query.to);
      const fromMs = request.query.from === undefined ? toMs - DAY_MS : Date.parse(request.query.from);
      if (fromMs >= toMs) throw new Refused({ code: 'http.invalid', detail: 'from must lie before to.', field: 'from' });
      if (toMs - fromMs > SPAN_MAX_MS) throw new Refused({ code: 'http.invalid', detail: 'Ask for at most 366 days at once.', field: 'from' });
      return { from: isoOf(fromMs), to: isoOf(toMs), warnings: await store.readBetween(fromMs, toMs, WARNINGS_MAX) };
    },
  );

  http.post('/api/rules/check', { config: { action: 'operations.supervise' }, schema: { body: RuleCheckRequest } }, async (request): Promise<RuleCheck> => {
    const loaded = loadRules(request.body.document, purposes);
    return {
      ok: loaded.faults.length === 0 && loaded.rules.length > 0,
      rules: loaded.rules.map((rule) => ({ id: rule.id, sentence: rule.sentence, places: engine.countPlaces(rule) })),
      faults: [...loaded.faults],
    };
  });
}

function summaryOf(rule: Rule, version: RuleVersion | undefined, engine: Engine): Rules['rules'][number] {
  const { title, why, owner, purpose, severity, playbook, watch } = rule.document;
  return {
    id: rule.id, title, why, owner, purpose, severity, playbook,
    version: version?.version ?? 0,
    loadedAt: isoOf(version?.loadedAtMs ?? 0),
    loadedBy: version?.loadedBy ?? '',
    sentence: rule.sentence,
    document: rule.source,
    watch: { observe: watch.observe, at: watch.at, unit: rule.unit.symbols[0] ?? '' },
    ...engine.countsOf(rule.id),
  };
}
