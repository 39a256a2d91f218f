import type { Refusal } from '../../kernel/index.ts';
import type { BatchRequest } from './request.ts';

interface Known {
  readonly entities: ReadonlyMap<string, string>;
  readonly failed: ReadonlySet<string>;
}

interface Place {
  readonly root: string;
  readonly origins: ReadonlySet<string>;
}

/** `"@iot.id": "$1"` and its kin. Inside a text of JSON the quotes would be escaped, so this matches members only. */
const BODY_REFERENCE = /"(@iot\.id|@id|@odata\.id|@iot\.selfLink)"(\s*:\s*)"\$([A-Za-z0-9._~-]+)"/g;

/**
 * Replaces references to entities of earlier requests (OData 4.0 Part 1 §11.7.4.1) by what these have created, and makes the
 * address one of this API.
 */
export function referTo({ url, body, place }: BatchRequest, known: Known, where: Place): { readonly url: string; readonly body: Buffer | null } | Refusal {
  const pathOf = (id: string): string | Refusal => {
    const path = known.entities.get(id);
    if (path !== undefined) return path;
    if (known.failed.has(id)) return { code: 'batch.dependency-failed', detail: `The request ${id}, which this one refers to, failed.`, field: place };
    return { code: 'batch.reference-unknown', detail: `No request before this one has the id ${JSON.stringify(id)} and has created something; in a change set, observations have no address yet.`, field: place };
  };
  const address = addressOf(url, known.entities, pathOf, where, place);
  if (typeof address !== 'string') return address;
  if (body === null || !body.includes('$')) return { url: address, body };
  let refusal: Refusal | null = null;
  const text = body.toString('utf8').replace(BODY_REFERENCE, (whole, name: string, colon: string, id: string) => {
    const path = pathOf(id);
    if (typeof path !== 'string') {
      refusal ??= path;
      return whole;
    }
    const number = /\((\d+)\)$/.exec(path)?.[1];
    return `"${name}"${colon}${number !== undefined && name === '@iot.id' ? number : JSON.stringify(path)}`;
  });
  return refusal ?? { url: address, body: Buffer.from(text) };
}

/** Path and query under the root of the API. Everything else is refused: a batch reaches no further than one request could. */
function addressOf(url: string, known: ReadonlyMap<string, string>, pathOf: (id: string) => string | Refusal, { root, origins }: Place, place: string): string | Refusal {
  const outside: Refusal = { code: 'batch.address-outside', detail: `The address is not one under ${root}/.`, field: place };
  const reference = /^\$([A-Za-z0-9][A-Za-z0-9._~-]*)(?=$|[/?])/.exec(url);
  let text = url;
  if (reference !== null && (reference[1] !== 'batch' || known.has('batch'))) {
    const path = pathOf(String(reference[1]));
    if (typeof path !== 'string') return path;
    text = `${path}${url.slice(reference[0].length)}`;
  }
  const base = `http://batch.invalid${root}/`;
  if (!URL.canParse(text, base)) return outside;
  const parsed = new URL(text, base);
  const own = parsed.origin === 'http://batch.invalid' || origins.has(parsed.origin);
  if (!own || parsed.username !== '' || !parsed.pathname.startsWith(`${root}/`)) return outside;
  if (/^\$batch\/?$/i.test(decodeLenient(parsed.pathname.slice(root.length + 1)))) return { code: 'batch.address-outside', detail: 'A batch holds no batch.', field: place };
  return `${parsed.pathname}${parsed.search}`;
}

function decodeLenient(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // the address itself is refused where it is read
  }
}
