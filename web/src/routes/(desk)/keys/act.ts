/** Sends an act of this page; null when it was refused, which the page has said by then. */
export type Act = <T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body: unknown, done: string) => Promise<T | null>;

export const PROPOSED = 'Proposed. Now another person has to agree, on the page Approvals, within a day.';
