import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { Playbook } from '../contracts/incident.ts';
import { Refused } from '../kernel/index.ts';

const PlaybookFile = z.strictObject({ playbooks: z.array(Playbook).max(500) });
const FILE_CHARS_MAX = 1_000_000;

export type PlaybookShelf = ReadonlyMap<string, Playbook>;

/**
 * Reads playbooks.yaml (`playbooks:` with id, title, purpose and steps). Null means a city without playbooks.
 * Throws `Refused` with `start.config-invalid` and the path of what is wrong; ids are unique, step ids within a playbook.
 */
export function loadPlaybooks(text: string | null): PlaybookShelf {
  if (text === null) return new Map();
  if (text.length > FILE_CHARS_MAX) throw invalid('', `the file is longer than ${FILE_CHARS_MAX} characters`);
  let content: unknown;
  try {
    content = parseYaml(text, { maxAliasCount: 0 });
  } catch (error) {
    throw invalid('', error instanceof Error ? error.message : 'not YAML');
  }
  const parsed = PlaybookFile.safeParse(content);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(issue?.path.join('.') ?? '', issue?.message ?? 'not valid');
  }
  const shelf = new Map<string, Playbook>();
  for (const [at, playbook] of parsed.data.playbooks.entries()) {
    if (shelf.has(playbook.id)) throw invalid(`playbooks.${at}.id`, `"${playbook.id}" is there twice`);
    const steps = new Set<string>();
    for (const [stepAt, step] of playbook.steps.entries()) {
      if (steps.has(step.id)) throw invalid(`playbooks.${at}.steps.${stepAt}.id`, `"${step.id}" is there twice`);
      steps.add(step.id);
    }
    shelf.set(playbook.id, playbook);
  }
  return shelf;
}

function invalid(path: string, message: string): Refused {
  return new Refused({ code: 'start.config-invalid', detail: `playbooks.yaml${path === '' ? '' : ` at ${path}`}: ${message}.`, field: path === '' ? 'playbooks.yaml' : path });
}
