import fc from 'fast-check';
import { expect, test } from 'vitest';
import { API_1_1 } from '../entities/model.ts';
import { readTopic, streamOf, type Topic } from './mqtt-topics.ts';

function read(text: string): Topic | null {
  const [path = '', ...search] = text.split('?');
  return readTopic(API_1_1, `v1.1/${text}`, path, search.join('?'));
}
const shape = (topic: Topic | null): unknown => (topic === null ? null : [topic.kind, topic.model.set, topic.path, topic.id, topic.property, topic.search]);

test.each([
  ['Things', ['collection', 'Things', 'Things', null, null, '']],
  ['Things(1)', ['entity', 'Things', 'Things(1)', 1, null, '']],
  ['Things(1)/Datastreams', ['collection', 'Datastreams', 'Things(1)/Datastreams', null, null, '']],
  ['Datastreams(1)/Thing', ['entity', 'Things', 'Datastreams(1)/Thing', null, null, '']],
  ['Datastreams(1)/Thing/name', ['property', 'Things', 'Datastreams(1)/Thing', null, 'name', '']],
  ['Datastreams(1)/observedArea', ['property', 'Datastreams', 'Datastreams(1)', 1, 'observedArea', '']],
  ['Things?$select=name,id', ['collection', 'Things', 'Things', null, null, '$select=name,id']],
  ['Things(1)/Locations(2)', ['entity', 'Locations', 'Things(1)/Locations(2)', null, null, '']],
])('%s is what 18-088 §14.3 says', (text, expected) => {
  expect(shape(read(text))).toEqual(expected);
});

test.each([
  ['Observations', { of: 'all' }],
  ['Datastreams(7)/Observations', { of: 'stream', id: 7, thingId: null }],
  ['Things(3)/Datastreams(7)/Observations', { of: 'stream', id: 7, thingId: 3 }],
  ['FeaturesOfInterest(5)/Observations', { of: 'feature', id: 5, thingId: null }],
])('observations under %s are found without the database', (text, expected) => {
  expect(read(text)?.observations).toEqual(expected);
});

test.each(['', '/', 'Thing', 'Things(', 'Things(1', "Things('1')", 'Things(0)', 'Things(1)(2)', 'Things(1)/', 'Things/Datastreams', 'Things(1)/name(2)', 'Datastreams(1)/Thing(2)', 'Things?$filter=id eq 1', 'Things?$top=1', 'Things?x=1', 'Things(1)/name?$select=id', 'Sensors(1)/Datastreams(2)/Observations', '+', '#', 'Things/#', 'constructor', '__proto__(1)'])('%j is refused', (text) => {
  expect(read(text)).toBeNull();
});

test('any text is a topic or refused; it never throws', () => {
  const word = fc.constantFrom('Things', 'Datastreams', 'Observations', 'Thing', 'name', '(1)', '(', '/', '?', '$select=', '$expand=', '%', 'x', '&', '(999999999999999)');
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(word, { maxLength: 8 }).map((words) => words.join(''))), (text) => void read(text)));
});

test('a device sees the topics of its Datastream and no others', () => {
  const stream = (text: string): number | null => {
    const topic = read(text);
    return topic === null ? null : streamOf(topic);
  };
  expect(['Datastreams(7)/Observations', 'Datastreams(7)', 'Datastreams(7)/name', 'Things(1)/Datastreams(7)/Observations'].map(stream)).toEqual([7, 7, 7, 7]);
  expect(['Observations', 'Things', 'Datastreams', 'Datastreams(7)/Thing', 'Things(1)/Datastreams', 'FeaturesOfInterest(1)/Observations', 'Observations(1)'].map(stream)).toEqual([null, null, null, null, null, null, null]);
});
