import { join } from 'node:path';
import type { BrokerOptions } from './broker-client.ts';

/** The part of the configuration that concerns the broker. */
export interface BrokerChoice {
  /** Socket of a broker that runs by itself; without it the city starts one as its child. */
  readonly broker?: string | undefined;
  readonly root_passphrase?: string | undefined;
  readonly root_passphrase_file?: string | undefined;
  readonly pkcs11_module?: string | undefined;
  readonly pkcs11_token?: string | undefined;
  readonly pkcs11_key: string;
  readonly pkcs11_pin?: string | undefined;
  readonly pkcs11_pin_file?: string | undefined;
  readonly key_window_days: number;
}

export const DEFAULT_BROKER: BrokerChoice = { pkcs11_key: 'clerestory', key_window_days: 30 };

/** Folders, secrets and token of the broker of this data folder. */
export function brokerOptionsOf(dataFolder: string, choice: BrokerChoice): Pick<BrokerOptions, 'settings' | 'secrets' | 'socket'> {
  const { pkcs11_module, pkcs11_token, pkcs11_key, pkcs11_pin, pkcs11_pin_file, root_passphrase, root_passphrase_file } = choice;
  const pkcs11 = pkcs11_module === undefined ? {} : { pkcs11: { module: pkcs11_module, label: pkcs11_token ?? '', keyLabel: pkcs11_key, ...(pkcs11_pin_file === undefined ? {} : { pinFile: pkcs11_pin_file }) } };
  return {
    settings: { keyFolder: join(dataFolder, 'keys'), journalFolder: join(dataFolder, 'broker'), ...pkcs11, ...(root_passphrase_file === undefined ? {} : { passphraseFile: root_passphrase_file }) },
    secrets: { ...(root_passphrase === undefined ? {} : { CLERESTORY_ROOT_PASSPHRASE: root_passphrase }), ...(pkcs11_pin === undefined ? {} : { CLERESTORY_PKCS11_PIN: pkcs11_pin }) },
    socket: choice.broker,
  };
}
