import type { Principal } from '../../contracts/principal.ts';
import { refuse, unwrap, type Result } from '../../kernel/index.ts';
import type { EntityParts } from '../entities/entities.ts';
import { withMetadata } from '../entities/formats.ts';
import { resolvePath } from '../entities/resource-path.ts';
import { parseExactJson } from '../ingest/exact-json.ts';
import { targetOf } from '../ingest/http.ts';
import { mqttApiOf } from '../ingest/mqtt-api.ts';
import type { MqttApi } from '../ingest/mqtt.ts';
import { parseQuery } from '../query/options.ts';
import { answerGet, type ServerSettings } from '../routes.ts';
import { MQTT_BINDING, MQTT_CONFORMANCE } from './conformance.ts';
import { MANNERS_2_0 } from './manners.ts';
import { API_2_0 } from './model.ts';
import { readObservation } from './observation-body.ts';

/** Topics of OGC 23-019 §11: messages carry no annotations, and what is created is published under `…/create`. */
export function mqttApi20(parts: EntityParts): MqttApi {
  const { reads, rendererOf, writes } = parts;
  const renderer = rendererOf(API_2_0);
  const observations = API_2_0.modelOf('Observations');
  return {
    ...mqttApiOf(API_2_0, parts, {
      targetOf: (segments) => {
        return { ...targetOf(segments.map((segment) => segment.replace(/^Features\(/, 'FeaturesOfInterest('))), anyKind: true };
      },
      bodyOf: readObservation,
    }),
    createsUnder: 'create',
    renderObservation: (row) => withMetadata(observations, renderer.observation(row), 'none'),
    read: (path, search) => {
      const options = { ...parseQuery(search), metadata: 'none' as const };
      return reads.inSession(async (session) => {
        const target = await resolvePath(API_2_0, path, session);
        const answer = await answerGet(target, options, session, renderer, path);
        return typeof answer === 'object' && answer !== null && !('mediaType' in answer) ? MANNERS_2_0.dress(answer, target, options, '') : answer;
      });
    },
    createEntity: async (path, payload, principal): Promise<Result<unknown>> => {
      const target = await reads.inSession((session) => resolvePath(API_2_0, path, session));
      if (target.kind !== 'collection' || target.references) return refuse('http.method-not-allowed', 'Entities are created in a set, such as v2.0/Things/create.');
      return createIn(writes, target, unwrap(parseExactJson(payload)), principal);
    },
  };
}

/** What the service document says of MQTT (§11.2), from what the landing page of 1.1 says. */
export function mqttSettings20({ more }: ServerSettings): ServerSettings {
  const endpoints = [...new Set(Object.values(more).flatMap((value) => (typeof value === 'object' && value !== null && 'endpoints' in value ? (value.endpoints as string[]) : [])))];
  return endpoints.length === 0 ? { conformance: [], more: {} } : { conformance: MQTT_CONFORMANCE, more: { [MQTT_BINDING]: { endpoints } } };
}

const createIn = (writes: EntityParts['writes'], { collection, parent }: { readonly collection: { readonly model: Parameters<EntityParts['writes']['create']>[0] }; readonly parent: Parameters<EntityParts['writes']['create']>[1] }, body: unknown, principal: Principal): Promise<Result<unknown>> => writes.create(collection.model, parent, JSON.parse(JSON.stringify(body)), principal);
