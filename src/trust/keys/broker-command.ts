import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { brokerOptionsOf, type BrokerChoice } from './broker-settings.ts';

const BROKER = fileURLToPath(new URL('../broker/main.ts', import.meta.url));

/**
 * `clerestory broker`: runs the key broker on a Unix socket, with its keys and journal in `dataFolder`, until it is stopped. Gives its exit
 * code. The command itself sees no key.
 */
export async function runBroker(dataFolder: string, socket: string, choice: BrokerChoice): Promise<number> {
  const { settings, secrets } = brokerOptionsOf(dataFolder, choice);
  const { PATH, SOFTHSM2_CONF } = process.env;
  const env = { PATH, ...(SOFTHSM2_CONF === undefined ? {} : { SOFTHSM2_CONF }), ...secrets, BROKER_SETTINGS: JSON.stringify({ ...settings, socket }) };
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', BROKER], { env, stdio: 'inherit' });
  const stop = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', stop).on('SIGTERM', stop);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code ?? 1;
}
