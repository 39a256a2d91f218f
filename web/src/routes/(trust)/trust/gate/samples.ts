/** Payloads to try: made up, of nobody. */
export const SAMPLES = [
  { id: 'air', title: 'An air sensor', text: '{"temperature": 21.4, "humidity": 48, "co2_ppm": 612, "battery_volt": 3.6}' },
  { id: 'phones', title: 'A counter that lists phones nearby', text: '{"count": 2, "seen": ["3c:5a:b4:01:9e:f2", "a4-83-e7-5b-00-1d"]}' },
  { id: 'plate', title: 'A camera that reads plates', text: '{"lane": 2, "speed": 47, "text": "Kennzeichen MS-AB 1234"}' },
  { id: 'image', title: 'A picture inside a message', text: '{"level": 0.8, "debug": "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsK"}' },
  { id: 'contact', title: 'A note with a way to reach somebody', text: '{"state": "door open", "note": "call +49 30 23125 000 or mail anna@example.org"}' },
  { id: 'vector', title: 'A face as numbers', text: JSON.stringify({ object: 7, features: Array.from({ length: 48 }, (_, at) => Number((Math.sin(at * 12.9898) / 7).toFixed(4))) }) },
  { id: 'way', title: 'The way of one thing', text: '{"track": "a7", "path": [[7.6261, 51.9607], [7.6302, 51.9611], [7.6345, 51.9629]]}' },
] as const;
