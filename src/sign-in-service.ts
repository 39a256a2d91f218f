import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { Refused } from './kernel/index.ts';
import { createOutgoing, type Metrics, type Outgoing } from './platform/index.ts';
import { readFeedFile } from './sensing/index.ts';
import { readPositionMap, type ServiceClient, type SignInServiceOptions } from './trust/index.ts';

export interface SignInServices {
  /** For staff; null when the configuration names none. */
  readonly staff: SignInServiceOptions | null;
  readonly residents: ServiceClient | null;
}

/** The sign-in services as the configuration describes them. Throws `Refused` when a secret is not there or a host is not on the egress list. */
export function readSignInServices(config: Config, feedsYaml: string | null, metrics: Metrics): SignInServices {
  let made: Outgoing | undefined;
  const outgoing = (): Outgoing => (made ??= createOutgoing({ egress: readFeedFile(feedsYaml).egress, metrics }));
  return {
    staff:
      config.oidc_issuer === undefined
        ? null
        : {
            ...clientOf(config.oidc_issuer, 'oidc_issuer', outgoing()),
            clientId: config.oidc_client_id,
            clientSecret: readSecretFile(config.oidc_client_secret_file ?? join(config.data, 'keys', 'oidc-client-secret'), 'oidc_client_secret_file'),
            label: config.oidc_label,
            allowedDomain: config.oidc_allowed_domain ?? null,
            positions: config.oidc_positions === undefined ? null : { claim: config.oidc_positions_claim, of: readPositionMap(config.oidc_positions) },
          },
    residents:
      config.resident_oidc_issuer === undefined
        ? null
        : {
            ...clientOf(config.resident_oidc_issuer, 'resident_oidc_issuer', outgoing()),
            clientId: config.resident_oidc_client_id,
            clientSecret: readSecretFile(config.resident_oidc_client_secret_file ?? join(config.data, 'keys', 'resident-oidc-client-secret'), 'resident_oidc_client_secret_file'),
            label: config.resident_oidc_label,
          },
  };
}

function clientOf(issuer: string, field: string, outgoing: Outgoing): { issuer: string; outgoing: Outgoing } {
  const blocked = outgoing.check(issuer);
  if (blocked !== null) throw new Refused({ code: 'start.config-invalid', detail: `${field} cannot be called: ${blocked.detail} Add its host to egress in city/feeds.yaml.`, field });
  return { issuer, outgoing };
}

function readSecretFile(file: string, field: string): string {
  if (!existsSync(file)) throw new Refused({ code: 'start.config-invalid', detail: `There is no file ${file} with the client secret of the sign-in service.`, field });
  return readFileSync(file, 'utf8').trim();
}
