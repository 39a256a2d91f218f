import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { Refused } from './kernel/index.ts';
import { createOutgoing, type Metrics } from './platform/index.ts';
import { readFeedFile } from './sensing/index.ts';
import { readPositionMap, type SignInServiceOptions } from './trust/index.ts';

/** The sign-in service as the configuration describes it; null when it names none. Throws `Refused` when the secret is not there or the host is not on the egress list. */
export function readSignInService(config: Config, feedsYaml: string | null, metrics: Metrics): SignInServiceOptions | null {
  if (config.oidc_issuer === undefined) return null;
  const file = config.oidc_client_secret_file ?? join(config.data, 'keys', 'oidc-client-secret');
  if (!existsSync(file)) throw new Refused({ code: 'start.config-invalid', detail: `There is no file ${file} with the client secret of the sign-in service.`, field: 'oidc_client_secret_file' });
  const outgoing = createOutgoing({ egress: readFeedFile(feedsYaml).egress, metrics });
  const blocked = outgoing.check(config.oidc_issuer);
  if (blocked !== null) throw new Refused({ code: 'start.config-invalid', detail: `oidc_issuer cannot be called: ${blocked.detail} Add its host to egress in city/feeds.yaml.`, field: 'oidc_issuer' });
  return {
    issuer: config.oidc_issuer,
    clientId: config.oidc_client_id,
    clientSecret: readFileSync(file, 'utf8').trim(),
    label: config.oidc_label,
    allowedDomain: config.oidc_allowed_domain ?? null,
    positions: config.oidc_positions === undefined ? null : { claim: config.oidc_positions_claim, of: readPositionMap(config.oidc_positions) },
    outgoing,
  };
}
