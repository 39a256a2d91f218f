import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';

/** WCAG 2.2 A and AA as far as a machine can tell. */
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** Violations as lines to read: rule, help, and where; empty when there are none. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  await waitForFades(page);
  const { violations } = await new AxeBuilder({ page }).withTags(TAGS).analyze();
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${help} at ${target.join(' ')} (${failureSummary?.split('\n').slice(1).join('; ').trim() ?? ''})`));
}

/** A button between two colours has neither's contrast. A fade begins with the frame after the change, and one that is cut short is over too. */
const waitForFades = (page: Page): Promise<unknown> => page.evaluate(`new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  .then(() => Promise.allSettled(document.getAnimations().filter((each) => each.effect.getTiming().iterations === 1).map((each) => each.finished)))
  .then(() => null)`);
