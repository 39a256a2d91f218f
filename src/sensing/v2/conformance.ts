const SPECIFICATION = 'http://www.opengis.net/spec/sensorthings/2.0';

/** Requirements classes of 23-019 and optional requirements that hold; test/conformance/sensorthings-v2.test.ts has a test for each. */
export const CONFORMANCE: readonly string[] = [
  'req-class/datamodel/core',
  'req-class/api/read',
  'req-class/api/cud',
  'req-class/binding/http',
  'req/api/read/options/select_distinct',
  'req/api/cud/replace',
  'req/api/cud/deep_update',
  'req/api/cud/json_patch',
  'req/api/cud/filtered_delete',
  'req/binding/http/request_response',
].map((name) => `${SPECIFICATION}/${name}`);

/** What holds while MQTT is open; test/conformance/sensorthings-v2-mqtt.test.ts has the tests. */
export const MQTT_CONFORMANCE: readonly string[] = ['req/binding/mqtt/pub_sub/select', 'req/binding/mqtt/pub_sub/expand', 'req/binding/mqtt/simple_create'].map((name) => `${SPECIFICATION}/${name}`);

export const HTTP_BINDING = `${SPECIFICATION}/req/binding/http`;
export const MQTT_BINDING = `${SPECIFICATION}/req/binding/mqtt`;
