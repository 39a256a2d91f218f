import { fromBufferPromise, type Entry, type ZipFile } from 'yauzl';
import { Refused } from '../../kernel/index.ts';

export interface ZipLimits {
  readonly entries: number;
  /** Of one entry, decompressed. */
  readonly entry_bytes: number;
  /** Of all entries that are read, decompressed. */
  readonly total_bytes: number;
}

export const ZIP_LIMITS: ZipLimits = { entries: 200, entry_bytes: 268_435_456, total_bytes: 536_870_912 };

export interface ZipArchive {
  readonly names: readonly string[];
  /** The content of an entry in pieces; null when there is none of that name. Throws `Refused` beyond a limit. */
  readEntry(name: string): Promise<AsyncIterable<Buffer> | null>;
}

const invalid = (detail: string, field: string, cause?: unknown): Refused => Object.assign(new Refused({ code: 'feed.document-invalid', detail, field }), cause === undefined ? {} : { cause });
const tooLarge = (detail: string, field: string): Refused => new Refused({ code: 'feed.document-too-large', detail, field });

const END_BYTES = 22;

/**
 * The archive without bytes after its end, which some servers add, such as a web page. The end is
 * the last record of that signature which fits its own directory (APPNOTE 4.3.16).
 */
function withoutTail(body: Buffer): Buffer {
  for (let at = body.lastIndexOf('PK\x05\x06', undefined, 'latin1'); at >= 0 && at + END_BYTES <= body.length; at = at === 0 ? -1 : body.lastIndexOf('PK\x05\x06', at - 1, 'latin1')) {
    const end = at + END_BYTES + body.readUInt16LE(at + 20);
    const directory_end = body.readUInt32LE(at + 12) + body.readUInt32LE(at + 16);
    if (directory_end === at && end <= body.length) return body.subarray(0, end);
  }
  return body;
}

/**
 * Opens a ZIP archive in memory. Sizes that the directory claims are checked before anything is decompressed, and what comes
 * out is counted while it comes, so an archive that grows beyond its claim is refused. Names with a folder, `..`, twice the
 * same or encrypted entries are refused.
 */
export async function openZip(body: Buffer, limits: ZipLimits = ZIP_LIMITS): Promise<ZipArchive> {
  const entries = new Map<string, Entry>();
  let file: ZipFile;
  try {
    file = await fromBufferPromise(withoutTail(body), { strictFileNames: true, validateEntrySizes: true, decodeStrings: true });
    if (file.entryCount > limits.entries) throw tooLarge(`An archive has at most ${limits.entries} files.`, 'zip');
    for await (const entry of file.eachEntry()) {
      const name = entry.fileName;
      if (name.endsWith('/')) continue;
      if (entries.has(name)) throw invalid('The archive has two files of one name.', 'zip');
      if (entries.size >= limits.entries) throw tooLarge(`An archive has at most ${limits.entries} files.`, 'zip');
      entries.set(name, entry);
    }
  } catch (error) {
    throw error instanceof Refused ? error : invalid('It is not a ZIP archive that can be read.', 'zip', error);
  }
  let total_bytes = 0;
  return {
    names: [...entries.keys()],
    readEntry: async (name) => {
      const entry = entries.get(name);
      if (entry === undefined) return null;
      if (entry.isEncrypted()) throw invalid('The file in the archive is encrypted.', name);
      if (entry.uncompressedSize > limits.entry_bytes) throw tooLarge(`A file in an archive has at most ${limits.entry_bytes} bytes.`, name);
      return (async function* () {
        let entry_bytes = 0;
        try {
          for await (const chunk of await file.openReadStreamPromise(entry)) {
            entry_bytes += (chunk as Buffer).length;
            total_bytes += (chunk as Buffer).length;
            if (entry_bytes > limits.entry_bytes || total_bytes > limits.total_bytes) throw tooLarge(`The archive grows beyond ${limits.total_bytes} bytes.`, name);
            yield chunk as Buffer;
          }
        } catch (error) {
          throw error instanceof Refused ? error : invalid('The file in the archive cannot be decompressed.', name, error);
        }
      })();
    },
  };
}
