import type { RequestState } from '#contracts/request.ts';
import type { LookReason } from '#contracts/trust.ts';

export const STATE_WORDS: Readonly<Record<RequestState, string>> = { received: 'Received', assigned: 'Accepted', in_progress: 'In progress', done: 'Done', declined: 'Declined' };

export function formatMoment(iso: string, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone }).format(new Date(iso));
}

export const REASON_WORDS: Readonly<Record<LookReason, string>> = {
  answer_resident: 'Answering the resident',
  locate_fault: 'Finding the place or the fault',
  plan_work: 'Planning or doing the work',
  check_duplicate: 'Checking whether it was reported before',
  review_text: 'Reviewing the text before it becomes public',
  complaint: 'Handling a complaint',
  access_request: 'The resident asked for the data',
  legal_order: 'Order of a court or an authority',
  quality_check: 'Checking the quality of our answers',
};
