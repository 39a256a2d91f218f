import pg from 'pg';
import { BLOCK_ROWS } from './load.ts';

/** The rows of the load, as one COPY after another over two connections into the same table, then removed. */
export async function measureCopy(connection: pg.ClientConfig, ids: readonly number[], seconds: number): Promise<{ rows: number; ms: number }> {
  const rowBytes = 2 + 10 * 4 + 5 * 8 + 1;
  const rows = 5_000;
  const signature = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1');
  const clients = [new pg.Client(connection), new pg.Client(connection)];
  for (const client of clients) await client.connect();
  const day = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000);
  const next = new Date(day.getTime() + 86_400_000);
  await clients[0]?.query(`create table observation_bench partition of observation_hot for values from ('${day.toISOString()}') to ('${next.toISOString()}')`);
  const startMs = performance.now();
  const counts = await Promise.all(
    clients.map(async (client, n) => {
      const body = Buffer.alloc(5 + signature.length + rows * rowBytes + 2 + 5);
      let count = 0;
      for (let batch = 0; performance.now() - startMs < seconds * 1000; batch += 1) {
        body[0] = 0x64;
        body.writeInt32BE(4 + signature.length + rows * rowBytes + 2, 1);
        signature.copy(body, 5);
        let at = 5 + signature.length;
        const micros = (BigInt(Date.now()) - 946_684_800_000n) * 1000n;
        for (let row = 0; row < rows; row += 1) {
          at = body.writeInt16BE(10, at);
          const int8 = (value: bigint): void => void (at = body.writeBigInt64BE(value, body.writeInt32BE(8, at)));
          int8(BigInt((n * 1_000_000 + batch) * rows + row));
          int8(BigInt(ids[(batch * 5 + Math.floor(row / BLOCK_ROWS)) % ids.length] as number));
          int8(micros - BigInt(row));
          at = body.writeInt32BE(-1, at);
          at = body.writeInt32BE(-1, at);
          int8(micros);
          at = body.writeDoubleBE(row / 8, body.writeInt32BE(8, at));
          at = body.writeInt32BE(-1, at);
          at = body.writeInt32BE(-1, at);
          at = body.writeInt8(1, body.writeInt32BE(1, at));
        }
        at = body.writeInt16BE(-1, at);
        body[at] = 0x63;
        body.writeInt32BE(4, at + 1);
        await new Promise<void>((resolve, reject) => {
          client.query({
            submit: (wire: pg.Connection) => {
              const raw = wire as unknown as { query(text: string): void; stream: NodeJS.WritableStream };
              raw.query('copy observation_hot (id, datastream_id, phenomenon_start, phenomenon_end, result_time, arrived, result_number, result_json, extra, valid) from stdin (format binary)');
              raw.stream.write(body);
            },
            handleCopyInResponse: () => undefined,
            handleCommandComplete: () => undefined,
            handleReadyForQuery: () => resolve(),
            handleError: reject,
            callback: () => undefined,
          } as unknown as pg.Submittable);
        });
        count += rows;
      }
      return count;
    }),
  );
  const ms = performance.now() - startMs;
  await clients[0]?.query('drop table observation_bench');
  for (const client of clients) await client.end();
  return { rows: counts.reduce((sum, count) => sum + count, 0), ms };
}

