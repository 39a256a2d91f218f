import type { Handle, HandleFetch } from '@sveltejs/kit/hooks';
import { cookieName } from '#lib/ui/cookie-name.ts';
import { isTheme, THEME_COOKIE } from '#lib/ui/theme.ts';
import { chooseLanguage, isLanguage, LANGUAGE_COOKIE } from '#lib/i18n/language.ts';
import { answerOf, keepCookies } from '#lib/server/inject.ts';

/** Addresses that the server answers itself; everything else is a page. */
const SERVER_PATHS = /^\/(api|live|v\d\.\d|open311|log|metrics)(\/|$)/;

export const handle: Handle = async ({ event, resolve }) => {
  const isSecure = event.url.protocol === 'https:';
  const theme = event.cookies.get(cookieName(THEME_COOKIE, isSecure));
  event.locals.theme = theme !== undefined && isTheme(theme) ? theme : 'auto';
  // a wall hangs in a dimmed room and nobody sits at it
  if (event.route.id === '/(ops)/wall' && event.locals.theme === 'auto') event.locals.theme = 'dark';
  const asked = event.url.searchParams.get('language') ?? event.cookies.get(cookieName(LANGUAGE_COOKIE, isSecure)) ?? '';
  const inRoom = event.route.id?.startsWith('/(ops)') === true;
  event.locals.language = inRoom ? 'en' : isLanguage(asked) ? asked : chooseLanguage(event.request.headers.get('accept-language') ?? '');
  const response = await resolve(event, {
    transformPageChunk: ({ html }) => html.replace('%lang%', event.locals.language).replace('%theme%', event.locals.theme),
    // Link headers would preload fonts and chunks of pages that a slow terminal never opens
    preload: ({ type }) => type === 'js' || type === 'css' || type === 'font',
  });
  if (response.headers.get('content-type') === 'text/html') response.headers.set('content-type', 'text/html; charset=utf-8');
  return response;
};

/** Pages read /api in process: the same checks, the same audit, no network hop. */
export const handleFetch: HandleFetch = async ({ event, request, fetch }) => {
  const app = event.platform?.req.app;
  const url = new URL(request.url);
  if (app === undefined || url.origin !== event.url.origin || !SERVER_PATHS.test(url.pathname)) return fetch(request);
  const headers: Record<string, string> = { host: event.url.host, origin: event.url.origin, 'sec-fetch-site': 'same-origin' };
  request.headers.forEach((value, name) => (headers[name] = value));
  // the session's list of devices shows it, and whether this browser keeps Secure cookies depends on it
  headers['user-agent'] = event.request.headers.get('user-agent') ?? '';
  const cookie = event.request.headers.get('cookie');
  if (cookie !== null) headers.cookie = cookie;
  // a Buffer: `inject` would write any other object as JSON
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
  const answer = await app.inject({
    method: request.method,
    url: url.pathname + url.search,
    headers,
    remoteAddress: event.getClientAddress(),
    ...(body === undefined ? {} : { payload: body }),
  });
  keepCookies(event.cookies, answer);
  return answerOf(answer);
};
