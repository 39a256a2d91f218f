import type { Approval } from '#contracts/approval.ts';

/** What a proposal of a sealed look says, member by member, as the second person read it. */
export interface SealedWish {
  readonly until: string;
  readonly records: readonly string[];
  readonly purpose: string;
  readonly reasonCode: string;
  readonly reason: string;
}

const memberOf = (approval: Pick<Approval, 'changes'>, path: string): string => approval.changes.find((change) => change.path === path)?.to ?? '';

/** The body to send with an approval of `look.seal`: exactly what was agreed to. */
export function wishOf(approval: Pick<Approval, 'changes'>): SealedWish {
  const of = (path: string): string => memberOf(approval, path);
  return { until: of('until'), records: JSON.parse(of('records') || '[]') as string[], purpose: of('purpose'), reasonCode: of('reasonCode'), reason: of('reason') };
}

/** The day that an approval of `look.extend` moves to. */
export const newDayOf = (approval: Pick<Approval, 'changes'>): string => memberOf(approval, 'until');
