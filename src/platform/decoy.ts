// A decoy "internet": run inside a network namespace, it answers every name with its own address (RFC 1035 §4.1), takes
// every connection, and prints a line of JSON for each: what was asked for, and where a connection wanted to go.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Ports on which a hidden call would most likely go; packets to any other are counted by whoever laid the cable. */
const TCP_PORTS = [22, 25, 53, 80, 443, 853, 1883, 4318, 5432, 8080, 8443, 8883] as const;
const UDP_PORTS = [123, 443, 514, 4318] as const;
const DNS_PORT = 53;
const DNS_HEADER_BYTES = 12;
const NAME_CHARS = 255;
const ANSWER_TTL_S = 1;
const TYPE_A = 1;
const CLASS_IN = 1;
/** Pointer to the name at the start of the question (RFC 1035 §4.1.4). */
const NAME_POINTER = 0xc0_0c;

const address = process.argv[2] ?? '198.51.100.1';
const tell = (call: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(call)}\n`);

function readName(packet: Buffer): { name: string; end: number } | null {
  const labels: string[] = [];
  let at = DNS_HEADER_BYTES;
  for (;;) {
    const length = packet[at];
    if (length === undefined || length > 63) return null;
    if (length === 0) break;
    labels.push(packet.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.').slice(0, NAME_CHARS), end: at + 5 };
}

function answerTo(query: Buffer, end: number): Buffer {
  const asksForIpv4 = query.readUInt16BE(end - 4) === TYPE_A;
  const header = Buffer.from(query.subarray(0, DNS_HEADER_BYTES));
  header.writeUInt16BE(0x84_00, 2); // an authoritative answer without error
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(asksForIpv4 ? 1 : 0, 6);
  header.fill(0, 8);
  const question = query.subarray(DNS_HEADER_BYTES, end);
  if (!asksForIpv4) return Buffer.concat([header, question]);
  const record = Buffer.alloc(16);
  record.writeUInt16BE(NAME_POINTER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(ANSWER_TTL_S, 6);
  record.writeUInt16BE(4, 10);
  address.split('.').forEach((part, n) => record.writeUInt8(Number(part), 12 + n));
  return Buffer.concat([header, question, record]);
}

const names = createSocket('udp4');
names.on('message', (query, peer) => {
  const asked = query.length > DNS_HEADER_BYTES ? readName(query) : null;
  if (asked === null || asked.end > query.length) return;
  tell({ kind: 'name', name: asked.name });
  names.send(answerTo(query, asked.end), peer.port, peer.address);
});
names.bind(DNS_PORT, address);

for (const port of UDP_PORTS) {
  const socket = createSocket('udp4');
  socket.on('message', (_packet, peer) => tell({ kind: 'datagram', port, from: peer.address }));
  socket.bind(port);
}
let open = TCP_PORTS.length;
for (const port of TCP_PORTS) {
  createServer((socket) => {
    tell({ kind: 'connection', to: socket.localAddress, port });
    socket.on('error', () => socket.destroy());
    socket.end();
  }).listen(port, '0.0.0.0', () => {
    open -= 1;
    if (open === 0) tell({ kind: 'ready' });
  });
}
