import { isoOf } from '../../kernel/index.ts';
import { formatNoteKey, type NoteKey } from './signed-note.ts';
import type { Witness } from './witness.ts';

const SILENT_MS = 10 * 60_000;

const escape = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** How a log stands in the eyes of the witness, in one plain sentence. */
export function describeLog(witness: Witness, origin: string, nowMs: number): { tone: 'good' | 'bad' | 'quiet'; text: string } {
  const seen = witness.state().logs[origin];
  const { lastRefusal } = witness.visits(origin);
  if (lastRefusal !== null) {
    const certain = lastRefusal.status === 409 ? 'This proves a fork.' : 'Either the log was rewritten, or somebody sent a wrong proof; the next cosignature would clear it.';
    return { tone: 'bad', text: `REFUSED at ${isoOf(lastRefusal.at_ms)}: ${lastRefusal.detail} ${certain} ${lastRefusal.evidence === null ? '' : `What the log signed is kept in ${lastRefusal.evidence}.`}`.trim() };
  }
  if (seen === undefined) return { tone: 'quiet', text: 'This log has not come by yet.' };
  const silentMs = nowMs - seen.time_s * 1_000;
  if (silentMs > SILENT_MS) return { tone: 'bad', text: `Silent for ${Math.floor(silentMs / 60_000)} minutes: nothing new that could be cosigned has come since ${isoOf(seen.time_s * 1_000)}.` };
  return { tone: 'good', text: 'In order: every tree so far continues the one before.' };
}

/** The page of a witness for people; without scripts. */
export function drawWitnessPage(witness: Witness, keys: readonly NoteKey[], nowMs: number): string {
  const rows = witness.origins.map((origin) => {
    const seen = witness.state().logs[origin];
    const { tone, text } = describeLog(witness, origin, nowMs);
    const asked = witness.visits(origin).lastAskedAt_ms;
    return `<section class="${tone}"><h2>${escape(origin)}</h2><p class="word">${escape(text)}</p><dl>
<dt>Entries</dt><dd>${seen === undefined ? 'none seen' : String(seen.size)}</dd>
<dt>Root</dt><dd><code>${escape(seen?.root ?? '')}</code></dd>
<dt>Last cosigned</dt><dd>${seen === undefined ? 'never' : isoOf(seen.time_s * 1_000)}</dd>
<dt>Last asked</dt><dd>${asked === null ? 'not since the start' : isoOf(asked)}</dd></dl></section>`;
  });
  const name = keys[0]?.name ?? '';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Witness ${escape(name)}</title>
<style>:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{max-inline-size:48rem;margin:2rem auto;padding:0 1rem}section{border-inline-start:.4rem solid #767676;padding:.1rem 1rem;margin-block:1.5rem}.good{border-color:#2e7d4f}.bad{border-color:#c62828}.word{font-weight:650}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}dd{margin:0}code,pre{overflow-wrap:anywhere;white-space:pre-wrap}</style>
<h1>Witness ${escape(name)}</h1>
<p>This small program remembers how a city's transparency log looked. It signs a newer state only when that continues the one before. If the city rewrites its past, or shows different people different logs, this witness refuses.</p>
${rows.join('\n')}
<h2>${keys.length === 1 ? 'Key' : 'Keys'} of this witness</h2>${keys.map((key) => `<pre><code>${escape(formatNoteKey(key))}</code></pre>`).join('')}
<p>A witness sees sizes and hashes, no entries and no personal data. It cannot tell whether everything was logged.</p></html>
`;
}
