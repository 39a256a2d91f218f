import type { Cookies } from '@sveltejs/kit';

interface Injected {
  statusCode: number;
  headers: Record<string, string | string[] | number | undefined>;
  rawPayload: Uint8Array<ArrayBuffer>;
}

/** Turns the answer of an in-process call into what `fetch` gives. */
export function answerOf(answer: Injected): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(answer.headers)) {
    if (name === 'set-cookie' || value === undefined) continue;
    headers.set(name, Array.isArray(value) ? value.join(', ') : String(value));
  }
  const empty = answer.statusCode === 204 || answer.statusCode === 304;
  return new Response(empty ? null : answer.rawPayload, { status: answer.statusCode, headers });
}

type CookieOptions = NonNullable<Parameters<Cookies['set']>[2]> & { path: string };

/** One Set-Cookie header as SvelteKit wants it (RFC 6265 §5.2). */
export function parseSetCookie(header: string): { name: string; value: string; options: CookieOptions } | undefined {
  const [pair = '', ...attributes] = header.split(';');
  const at = pair.indexOf('=');
  if (at < 1) return undefined;
  const options: CookieOptions = { path: '/', httpOnly: false, secure: false };
  for (const attribute of attributes) {
    const [key = '', value = ''] = attribute.trim().split('=');
    switch (key.toLowerCase()) {
      case 'path':
        options.path = value || '/';
        break;
      case 'httponly':
        options.httpOnly = true;
        break;
      case 'secure':
        options.secure = true;
        break;
      case 'max-age':
        options.maxAge = Number(value);
        break;
      case 'expires':
        options.expires = new Date(value);
        break;
      case 'samesite':
        options.sameSite = value.toLowerCase() as 'lax' | 'strict' | 'none';
        break;
      default:
        break;
    }
  }
  return { name: pair.slice(0, at).trim(), value: pair.slice(at + 1).trim(), options };
}

/** Passes the cookies of an in-process answer on to the browser. */
export function keepCookies(cookies: Cookies, answer: Injected): void {
  const raw = answer.headers['set-cookie'];
  for (const header of Array.isArray(raw) ? raw : raw === undefined ? [] : [String(raw)]) {
    const cookie = parseSetCookie(header);
    if (cookie) cookies.set(cookie.name, cookie.value, { ...cookie.options, encode: (value) => value });
  }
}
