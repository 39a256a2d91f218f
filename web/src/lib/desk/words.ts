import type { RequestState } from '#contracts/request.ts';

export const STATE_WORDS: Readonly<Record<RequestState, string>> = { received: 'Received', assigned: 'Accepted', in_progress: 'In progress', done: 'Done', declined: 'Declined' };

export function formatMoment(iso: string, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone }).format(new Date(iso));
}
