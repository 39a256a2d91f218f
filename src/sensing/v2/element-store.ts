import { Refused } from '../../kernel/index.ts';
import { frag, type Fragment } from '../query/fragment.ts';
import type { ElementReferences } from '../entities/model.ts';
import { readEntityId } from './reference.ts';

type Run = <T>(fragment: Fragment) => Promise<T[]>;

interface Candidate {
  readonly id: number;
  readonly name: string;
  readonly definition: string;
}

/**
 * Finds the ObservedProperty of each component of a resultType, inside the transaction of `run`: by its entity-id, or else by its
 * definition, and its name where the definition is not enough (OGC 23-019 §8.6). `given` are those that the body brought.
 * `at` is where the body names them itself. Throws `Refused` for what does not exist, is not clear or does not belong to it.
 */
export async function matchElements(run: Run, references: ElementReferences | undefined, given: readonly number[], at: string): Promise<number[]> {
  if (references === undefined) throw refusal(at, 'The ObservedProperties are those that the resultType names; change that.');
  const matched = await findEach(run, references, given);
  const stranger = given.find((id) => !matched.includes(id));
  if (stranger !== undefined) throw refusal(at, `ObservedProperty ${String(stranger)} is the definition of no component of the resultType.`);
  if (references.isList && new Set(matched).size !== matched.length) throw refusal(references.path, 'Each element of a result has an ObservedProperty of its own.');
  return matched;
}

/** The structure of results cannot change under those that are there (23-019 §8.6). Throws `Refused`. */
export async function requireFit(run: Run, references: ElementReferences, current: Readonly<Record<string, unknown>>): Promise<void> {
  if (references.fits(current)) return;
  const [first] = await run(frag`select 1 from observation where datastream_id = ${current['id'] as number}::bigint limit 1`);
  if (first !== undefined) throw refusal(references.path, 'The Datastream has Observations, whose results have the structure of the present resultType; make a new Datastream.');
}

async function findEach(run: Run, { names }: ElementReferences, given: readonly number[]): Promise<number[]> {
  const byId = names.map(({ definition, path }) => {
    const found = readEntityId(definition);
    if (found !== null && found.set !== 'ObservedProperties') throw refusal(path, `${definition} is no ObservedProperty.`);
    return found?.id ?? null;
  });
  const wantedIds = byId.filter((id) => id !== null);
  const texts = names.filter((_, at) => byId[at] === null).map(({ definition }) => definition);
  const candidates = await run<Candidate>(frag`select id, name, definition from observed_property where id = any(${[...wantedIds, ...given]}::bigint[]) or definition = any(${texts}::text[]) order by id for key share`);
  return names.map(({ definition, label, path }, at) => {
    const id = byId[at];
    if (id !== null && id !== undefined) {
      if (!candidates.some((candidate) => candidate.id === id)) throw refusal(path, `There is no ObservedProperty ${String(id)}.`);
      return id;
    }
    const all = candidates.filter((candidate) => candidate.definition === definition);
    const fresh = all.filter((candidate) => given.includes(candidate.id));
    const named = (fresh.length > 0 ? fresh : all).filter((candidate) => all.length === 1 || candidate.name === label);
    const [one, another] = fresh.length === 1 ? fresh : named;
    if (one === undefined) throw refusal(path, all.length === 0 ? `There is no ObservedProperty with the definition ${JSON.stringify(definition.slice(0, 100))}.` : `${String(all.length)} ObservedProperties have this definition and none of them the name ${JSON.stringify(label)}.`);
    if (another !== undefined) throw refusal(path, 'Several ObservedProperties have this definition and this name; name one as "ObservedProperties(1)".');
    return one.id;
  });
}

const refusal = (field: string, detail: string): Refused => new Refused({ code: 'sensing.entity-invalid', detail, field });
