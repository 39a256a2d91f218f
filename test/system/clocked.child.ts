import { startCity } from '../../src/app.ts';
import { loadConfig } from '../../src/config.ts';
import { startIngest } from '../../src/ingest-process.ts';
import { systemRandom } from '../../src/kernel/index.ts';
import { silentLogger } from '../../src/platform/index.ts';

// A city, or a process that takes readings beside it, as `npm start` runs them, with a clock that the test moves: { advance_ms }.

let offsetMs = 0;
const clock = { nowMs: () => Date.now() + offsetMs };
const { config } = loadConfig(process.env);
const running = await (config.role === 'ingest' ? startIngest : startCity)(config, { clock, random: systemRandom, logger: silentLogger, say: () => undefined });
process.on('message', (message: { advance_ms: number }) => {
  offsetMs += message.advance_ms;
  process.send?.({ nowMs: clock.nowMs() });
});
process.on('disconnect', () => void running.stop().then(() => process.exit(0)));
process.send?.({ url: running.url, mqttPort: running.mqttPort });
