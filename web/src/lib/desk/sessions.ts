import type { SessionSummary } from '#contracts/session.ts';

export const METHOD_WORDS: Readonly<Record<SessionSummary['method'], string>> = { passkey: 'passkey', password: 'passphrase', service: 'sign-in service', link: 'one-time link' };

// the order matters: Edge and Chrome name the browsers that they descend from as well
const BROWSERS = [
  [/Edg\//, 'Edge'],
  [/Firefox\//, 'Firefox'],
  [/Chrom(e|ium)\//, 'Chrome'],
  [/Safari\//, 'Safari'],
] as const;
const SYSTEMS = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux|X11/, 'Linux'],
] as const;

/** Browser and system as the browser names them in User-Agent, in two words. */
export function deviceOf(agent: string): string {
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent))?.[1];
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1];
  if (browser === undefined) return agent === '' ? 'not named' : agent.slice(0, 40);
  return system === undefined ? browser : `${browser} on ${system}`;
}
