import type { PurposeRegister } from '#contracts/trust.ts';

/** What residents' reports are kept for; the usual reason to look at one, so it stands first. */
const USUAL = 'service-requests';

/** Purposes that a look can be for, the usual one first. */
export function lookPurposes({ purposes }: Pick<PurposeRegister, 'purposes'>): { id: string; title: string }[] {
  const personal = purposes.filter((purpose) => purpose.personal_data);
  return [...personal.filter(({ id }) => id === USUAL), ...personal.filter(({ id }) => id !== USUAL)].map(({ id, title }) => ({ id, title }));
}
