import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

const MEASURED_MS = 2_000;

/** Writes of 8,192 bytes with fdatasync a second, one after the other: what a durable commit of one tile or page can cost at best. */
export function measureDisk(folder: string): number {
  const path = join(folder, 'disk');
  const file = openSync(path, 'w');
  const bytes = Buffer.alloc(8_192, 1);
  const start = performance.now();
  let count = 0;
  for (; performance.now() - start < MEASURED_MS; count += 1) {
    writeSync(file, bytes, 0, bytes.length, 0);
    fdatasyncSync(file);
  }
  closeSync(file);
  rmSync(path);
  return (count * 1_000) / MEASURED_MS;
}
