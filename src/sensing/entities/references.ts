import type { Principal } from '../../contracts/principal.ts';
import { refuse, type Refusal, type Result } from '../../kernel/index.ts';
import { isObject, type Mode } from './body.ts';
import { findNavigation, readId, targetOf, type Api, type EntityModel, type NavigationModel } from './model.ts';
import type { ReadStore } from './read-store.ts';
import { resolvePath } from './resource-path.ts';

/** What an address that ends with /$ref names: a relation of one entity, and perhaps one of its members. */
export interface Reference {
  readonly model: EntityModel;
  readonly id: number;
  readonly navigation: NavigationModel;
  /** Of `Things(1)/Locations(2)/$ref`. */
  readonly memberId: number | null;
}

interface ReferenceDeps {
  readonly update: (model: EntityModel, id: number, body: unknown, mode: Exclude<Mode, 'create'>, principal: Principal) => Promise<Result<{ readonly id: number }>>;
  readonly relate: (act: 'link' | 'unlink', model: EntityModel, id: number, navigation: NavigationModel, memberId: number, principal: Principal) => Promise<Result<{ readonly id: number }>>;
}

const LAST = /^(.+)\/([A-Za-z]+)(?:\('?(\d{1,15})'?\))?\/\$ref\/?$/;

/** Reads an address that ends with /$ref behind a relation; null when it is none. Throws `Refused` for entities that do not exist. */
export async function readReference(api: Api, path: string, reads: ReadStore): Promise<Reference | null> {
  const found = LAST.exec(path.replaceAll('%24', '$'));
  if (found === null) return null;
  const owner = await reads.inSession((session) => resolvePath(api, String(found[1]), session));
  const navigation = owner.kind === 'entity' && !owner.references ? findNavigation(owner.model, String(found[2])) : undefined;
  if (owner.kind !== 'entity' || navigation === undefined) return null;
  return { model: owner.model, id: owner.id, navigation, memberId: found[3] === undefined ? null : Number(found[3]) };
}

/**
 * Links and unlinks entities that exist (OData 4.0 Part 1 §11.4.6): POST adds to a set, PUT sets a single one or a whole set, DELETE
 * takes one member away. A Thing that gets or loses a Location gets a HistoricalLocation (18-088 §10.2.2).
 */
export async function changeReference(method: 'POST' | 'PUT' | 'DELETE', reference: Reference, body: unknown, search: string, principal: Principal, { update, relate }: ReferenceDeps): Promise<Result<unknown>> {
  const { model, id, navigation, memberId } = reference;
  const target = targetOf(model, navigation);
  const { example, id: idName } = model.api.control;
  const linked = (member: number): Record<string, unknown> => ({ [idName]: member });
  if (method === 'DELETE') {
    const releases = unlinkBody(reference, search);
    if (releases !== null) return update(model, id, releases, 'patch', principal);
    const named = memberId ?? idOfAddress(decodeURIComponent(/(?:^|&)(?:\$|%24)id=([^&]*)/i.exec(search)?.[1] ?? ''), target);
    if (named === null) return refuse('http.invalid', `The address names which one is unlinked: ${model.set}(${String(id)})/${navigation.name}(2)/$ref.`, '$id');
    if (navigation.pair === undefined || navigation.position !== undefined) return refuse('sensing.entity-invalid', `A ${navigation.many ? target.name : model.name} is never without its ${navigation.many ? model.name : navigation.name}; link another one with PUT, or delete it.`, navigation.name);
    return relate('unlink', model, id, navigation, named, principal);
  }
  if (memberId !== null) return refuse('http.method-not-allowed', 'The body says which entity is linked; the address ends with the relation.');
  if (method === 'POST' && !navigation.many) return refuse('http.method-not-allowed', `${navigation.name} is a single entity: it is set with PUT.`);
  if (method === 'PUT' && navigation.many) {
    const members = isObject(body) && Array.isArray(body['value']) ? (body['value'] as unknown[]) : [body];
    const wanted = members.map((member) => referredId(member, target));
    if (wanted.some((member) => member === null)) return wrongReference(example, target);
    return navigation.foreignKey !== undefined ? refuse('http.method-not-allowed', `Each ${target.name} names its own ${model.name}: add one with POST.`) : update(model, id, { [navigation.name]: wanted.map((member) => linked(member as number)) }, 'patch', principal);
  }
  const member = referredId(body, target);
  if (member === null) return wrongReference(example, target);
  if (!navigation.many) return update(model, id, { [navigation.name]: linked(member) }, 'patch', principal);
  if (navigation.pair !== undefined && navigation.position === undefined) return relate('link', model, id, navigation, member, principal);
  const back = target.navigations.find((candidate) => candidate.column !== undefined && candidate.column === navigation.foreignKey && candidate.target === model.set);
  if (back === undefined) return refuse('sensing.entity-invalid', `${navigation.name} change together, in order: PATCH ${model.set}(${String(id)}).`, navigation.name);
  return update(target, member, { [back.name]: linked(id) }, 'patch', principal);
}

/** OGC 23-019 §9.4.9: an optional single relation is emptied, and a whole set when no member is named. Null where that is not so. */
function unlinkBody({ model, navigation, memberId }: Reference, search: string): Record<string, unknown> | null {
  if (model.api.control.updatesDeep !== true || memberId !== null) return null;
  if (!navigation.many) return navigation.column !== undefined && !navigation.required ? { [navigation.name]: null } : null;
  return navigation.position === undefined && !/(?:^|&)(?:\$|%24)id=/i.test(search) ? { [navigation.name]: [] } : null;
}

const wrongReference = (example: string, { set }: EntityModel): { readonly ok: false; readonly refusal: Refusal } => refuse('sensing.entity-invalid', `The body is ${example}, or {"@odata.id": "${set}(1)"}.`, 'body');

/** The id in a body: that of the version, or an address under any of OData's names. */
function referredId(body: unknown, target: EntityModel): number | null {
  if (!isObject(body)) return null;
  const own = target.api.control.readReference(body, target.set);
  if (own !== undefined) return own;
  const address = body['@odata.id'] ?? body['@id'] ?? body['@iot.selfLink'];
  return typeof address === 'string' ? idOfAddress(address, target) : null;
}

function idOfAddress(address: string, { set }: EntityModel): number | null {
  const found = /(?:^|\/)([A-Za-z]+)\('?(\d{1,15})'?\)$/.exec(address);
  return found?.[1] === set ? (readId(found[2]) ?? null) : null;
}
