import { Refused } from '../../kernel/index.ts';
import type { Run } from '../observations/index.ts';
import { frag } from '../query/fragment.ts';
import type { ParsedEntity, ParsedLink } from './body.ts';
import type { Parent } from './entity-store.ts';
import { matchElements } from '../v2/element-store.ts';
import type { EntityModel, NavigationModel } from './model.ts';

/** The elements of MultiDatastreams (18-088 §8.2.10), inside the transaction of `run`. */
export interface Elements {
  readonly elementsOf: (entity: ParsedEntity, parent: Parent | null) => Promise<number[]>;
  readonly setElements: (id: number, elements: readonly number[] | null, path: string) => Promise<void>;
}

export function createElements(run: Run, resolve: (model: EntityModel, navigation: NavigationModel, link: ParsedLink) => Promise<number>): Elements {
  /** Ids of the ObservedProperties of a MultiDatastream in order; under one ObservedProperty the body may leave that one out. */
  const elementsOf = async ({ model, links, path, references }: ParsedEntity, parent: Parent | null): Promise<number[]> => {
    const at = path === '' ? 'ObservedProperties' : `${path}.ObservedProperties`;
    const found: number[] = [];
    for (const [navigation, members] of links) if (navigation.position !== undefined) for (const member of members) found.push(await resolve(model, navigation, member));
    if (model.settle !== undefined) return matchElements(run, references, found, at);
    const around = parent?.navigation.pair === undefined ? null : parent.id;
    if (around !== null && found.length === 0) return [around];
    if (around !== null && !found.includes(around)) throw new Refused({ code: 'sensing.entity-invalid', detail: `ObservedProperty ${String(around)}, under which it is created, is not among them.`, field: at });
    if (new Set(found).size !== found.length) throw new Refused({ code: 'sensing.entity-invalid', detail: 'Each element of a result has an ObservedProperty of its own.', field: at });
    return found;
  };

  /** Sets the elements when they are given, and checks that their lists are of one length (18-088 §8.2.10). */
  const setElements = async (id: number, elements: readonly number[] | null, path: string): Promise<void> => {
    if (elements !== null) {
      await run(frag`delete from datastream_observed_property where datastream_id = ${id}::bigint`);
      await run(frag`insert into datastream_observed_property (datastream_id, position, observed_property_id) select ${id}::bigint, at - 1, element from unnest(${[...new Set(elements)]}::bigint[]) with ordinality as one (element, at)`);
    }
    const [counts] = await run<{ types: number; properties: number }>(frag`select jsonb_array_length(types) as types, (select count(*) from datastream_observed_property p where p.datastream_id = m.id) as properties from multi_datastream m where id = ${id}::bigint`);
    if (counts !== undefined && counts.types !== counts.properties) throw new Refused({ code: 'sensing.entity-invalid', detail: `There are ${String(counts.types)} multiObservationDataTypes and ${String(counts.properties)} ObservedProperties; each element has one of both.`, field: path === '' ? 'ObservedProperties' : `${path}.ObservedProperties` });
  };

  return { elementsOf, setElements };
}
