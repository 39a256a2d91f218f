import { parse as parseYaml } from 'yaml';
import { expect, test } from 'vitest';
import { readFeedFile } from './feed-file.ts';
import { createAdapters } from './registry.ts';
import { matchesTopic } from './topic.ts';

const adapters = createAdapters({ codecs: new Map([['climate', 'function decodeUplink(i) { return { data: {} } }']]) });

test('every adapter shows an example that it takes itself', () => {
  expect([...adapters.keys()]).toEqual(['lorawan', 'ngsi', 'sensor-community', 'gbfs', 'gtfs', 'datex', 'cap', 'csv']);
  for (const { kind, title, example, pulls, pushes, bind } of adapters.values()) {
    expect([kind, title.length > 3, pulls || pushes, example !== '']).toEqual([kind, true, true, true]);
    const file = readFeedFile(`feeds:\n${example.split('\n').map((line) => `  ${line}`).join('\n')}`);
    expect([kind, file.problem, file.feeds.length]).toEqual([kind, null, 1]);
    const [entry] = file.feeds;
    if (entry === undefined || 'refusal' in entry) throw new Error(`the example of ${kind} is not an entry: ${JSON.stringify(entry)}`);
    expect([kind, entry.adapter, entry.purpose]).toEqual([kind, kind, 'city-operations']);
    const bound = bind(entry.options, entry.name);
    expect([kind, bound.ok ? '' : bound.refusal.detail]).toEqual([kind, '']);
  }
});

test('the examples are YAML that stands under feeds as it is', () => {
  const text = [...adapters.values()].map(({ example }) => example.trimEnd()).join('\n');
  expect(parseYaml(text)).toHaveLength(adapters.size);
});

test('filters of topics', () => {
  const cases: [filter: string, topic: string, matches: boolean][] = [
    ['v3/+/devices/+/up', 'v3/app@ttn/devices/eui-1/up', true],
    ['v3/+/devices/+/up', 'v3/app@ttn/devices/eui-1/join', false],
    ['v3/+/devices/+/up', 'v3/app@ttn/devices/eui-1/up/more', false],
    ['application/#', 'application', true],
    ['application/#', 'application/1/device/2/event/up', true],
    ['#', 'anything/at/all', true],
    ['#', '$SYS/secret', false],
    ['+/a', '$SYS/a', false],
    ['a/+', 'a', false],
    ['a/+', 'a/', true],
  ];
  for (const [filter, topic, matches] of cases) expect([filter, topic, matchesTopic(filter, topic)]).toEqual([filter, topic, matches]);
});
