import type { EntityParts } from '../entities/entities.ts';
import type { Api } from '../entities/model.ts';
import { resolvePath } from '../entities/resource-path.ts';
import { parseQuery } from '../query/options.ts';
import { answerGet } from '../routes.ts';
import type { MqttApi } from './mqtt.ts';

/** What MQTT needs of one version of the API: its model, and its answers to GET. `more` says how observations are created. */
export function mqttApiOf(api: Api, { reads, rendererOf }: Pick<EntityParts, 'reads' | 'rendererOf'>, more: Pick<MqttApi, 'targetOf' | 'bodyOf'>): MqttApi {
  const renderer = rendererOf(api);
  return {
    api,
    ...more,
    renderObservation: (row) => renderer.observation(row),
    read: async (path, search) => {
      const options = parseQuery(search);
      return reads.inSession(async (session) => answerGet(await resolvePath(api, path, session), options, session, renderer, path));
    },
  };
}
