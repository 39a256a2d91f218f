import { Refused } from '../../kernel/index.ts';
import type { Outgoing, Validators } from '../../platform/index.ts';
import type { FetchedDocument, PullContext } from './adapter.ts';

const KEPT_BYTES = 4_194_304;
const KEPT_DOCUMENTS = 16;

/** The way out for one feed. A document that has not changed since is not sent again: its body is kept while it is small. */
export function createFetch(outgoing: Outgoing): PullContext['fetch'] {
  const kept = new Map<string, { readonly document: FetchedDocument; readonly validators: Validators }>();
  return async (url, { max_bytes, accept }) => {
    const known = kept.get(url);
    const answer = await outgoing.get(url, { accept, max_bytes, ...(known === undefined ? {} : { known: known.validators }) });
    if (answer.status === 304 && known !== undefined) return known.document;
    const { contentType, body, validators } = answer;
    if (!accept.includes('html') && isHtml(contentType, body)) throw new Refused({ code: 'feed.source-answer', detail: `It answers with an HTML page instead of ${accept}.`, field: new URL(url).host });
    const document = { status: answer.status, contentType, body };
    kept.delete(url);
    if (body.length <= KEPT_BYTES && (validators.etag !== null || validators.last_modified !== null)) {
      kept.set(url, { document, validators });
      if (kept.size > KEPT_DOCUMENTS) kept.delete(kept.keys().next().value as string);
    }
    return document;
  };
}

const isHtml = (contentType: string, body: Buffer): boolean => /^\s*(?:text\/html|application\/xhtml)/i.test(contentType) || /^\s*(?:<!doctype html|<html[\s>])/i.test(body.subarray(0, 200).toString('latin1'));
