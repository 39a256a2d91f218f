import { join } from 'node:path';
import { afterAll } from 'vitest';
import { silentLogger } from '../src/platform/index.ts';
import { meetBroker, type BrokerClient, type BrokerOptions } from '../src/trust/keys/broker-client.ts';

const clients: BrokerClient[] = [];
// registered once for the file: a hook that is registered inside a test does not run
afterAll(async () => {
  for (const client of clients) await client.close();
});

/** The real broker, as a child of this process, with its keys and its journal in `dataFolder`. */
export async function meetBrokerIn(dataFolder: string, vkey: string, options: Partial<BrokerOptions> & { socket?: string } = {}): Promise<BrokerClient> {
  const client = await meetBroker({ settings: { keyFolder: join(dataFolder, 'keys'), journalFolder: join(dataFolder, 'broker') }, vkey, logger: silentLogger, ...options });
  clients.push(client);
  return client;
}
