import { Refused } from '../../kernel/index.ts';
import { targetOf, type EntityModel, type NavigationModel } from '../entities/model.ts';
import { frag, raw, type Fragment } from '../query/fragment.ts';

type Run = <T>(fragment: Fragment) => Promise<T[]>;

/**
 * Lets go of members that are not in the full set that a body gives (OGC 23-019 §9.4.6), where they can do without. Their ids.
 * Throws `Refused` where they cannot.
 */
export async function releaseOthers(run: Run, model: EntityModel, id: number, navigation: NavigationModel, kept: readonly number[]): Promise<number[]> {
  const target = targetOf(model, navigation);
  const key = raw(navigation.foreignKey ?? '');
  const others = (await run<{ id: number }>(frag`select id from ${raw(target.table)} where ${key} = ${id}::bigint and id <> all(${kept}::bigint[])`)).map((other) => other.id);
  if (others.length === 0) return others;
  const isNeeded = target.navigations.some((back) => back.column === navigation.foreignKey && back.required);
  if (isNeeded) throw new Refused({ code: 'sensing.entity-invalid', detail: `${navigation.name} must name all that there are, also ${target.name} ${String(others[0])}, which cannot be without a ${model.name}; delete it, or link it to another one.`, field: navigation.name });
  await run(frag`update ${raw(target.table)} set ${key} = null where id = any(${others}::bigint[])`);
  return others;
}

/** Readings so far stay about the feature that they were about (migrations/0022) when the Datastream gets another one. */
export async function keepFormerFeature(run: Run, datastreamId: number, next: number | null, until: Date): Promise<void> {
  await run(frag`insert into datastream_feature (datastream_id, until, feature_id) select id, ${until}::timestamptz, feature_id from datastream where id = ${datastreamId}::bigint and feature_id is not null and feature_id is distinct from ${next}::bigint on conflict do nothing`);
}
