/** What a browser keeps between requests to a sign-in service. */
export class Jar {
  readonly #cookies = new Map<string, string>();
  keep(response: Response): void {
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';');
      this.#cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
  }
  header(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }
}

const HOPS = 12;
type Go = (url: string, body?: Record<string, string>) => Promise<Response>;

/** Follows redirects and fills in forms, as a person does, until the service sends the browser to an address that begins with `until`; gives it. */
async function visit(go: Go, issuer: string, start: string, until: string, fill: (page: string) => Record<string, string> | null): Promise<string> {
  let response = await go(start);
  for (let hop = 0; hop < HOPS; hop += 1) {
    const next = response.headers.get('location');
    if (next === null) {
      const text = await response.text();
      const action = /action="([^"]+)"/.exec(text)?.[1];
      const fields = fill(text);
      if (action === undefined || fields === null) throw new Error(`the service shows no form: ${response.status} ${text.slice(0, 300)}`);
      response = await go(new URL(action, issuer).href, fields);
      continue;
    }
    const url = new URL(next, issuer).href;
    if (url.startsWith(until)) return url;
    response = await go(url);
  }
  throw new Error('the service does not come to an end');
}

const goerOf =
  (jar: Jar): Go =>
  async (url, body) => {
    const response = await fetch(url, { method: body ? 'POST' : 'GET', redirect: 'manual', headers: { cookie: jar.header() }, ...(body === undefined ? {} : { body: new URLSearchParams(body) }) });
    jar.keep(response);
    return response;
  };

/** Signs in at an oidc-provider until it sends the browser back; gives the address that it sends it to. */
export async function authorizeAt(issuer: string, callback: string, location: string, login: string, jar = new Jar()): Promise<string> {
  return visit(goerOf(jar), issuer, location, callback, (page) => {
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1];
    return prompt === undefined ? null : { prompt, ...(prompt === 'login' ? { login, password: 'x' } : {}) };
  });
}

/** Signs out at an oidc-provider, saying yes when it asks; gives the address that it sends the browser to. */
export async function signOutAt(issuer: string, returnTo: string, location: string, jar: Jar): Promise<string> {
  return visit(goerOf(jar), issuer, location, returnTo, (page) => {
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(page)?.[1];
    return xsrf === undefined ? null : { xsrf, logout: 'yes' };
  });
}
