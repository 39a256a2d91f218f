import { readId, type SetName } from '../entities/model.ts';

const ENTITY_ID = /^(?:[^?#]*\/)?([A-Za-z]+)\((?:'(\d{1,15})'|(\d{1,15}))\)$/;

/** What an entity-id names (OGC 23-019 §9.2.1): `Things(1)`, or an absolute or relative address that ends so. */
export function readEntityId(text: string): { readonly set: string; readonly id: number } | null {
  const found = ENTITY_ID.exec(text);
  const id = readId(found?.[2] ?? found?.[3]);
  return found === null || typeof id !== 'number' ? null : { set: found[1] ?? '', id };
}

/** Annotations are the server's own words about an entity, and the id is given by the server. */
export const isAnnotation = (name: string): boolean => name === 'id' || /^\w*@\w+$/.test(name);

/** `{"@id": "Things(1)"}`, or `{"id": 1}` with nothing that a new entity would have. */
export function readReference(body: Readonly<Record<string, unknown>>, set: SetName): number | null | undefined {
  const entityId = body['@id'];
  if (entityId !== undefined) {
    const found = typeof entityId === 'string' ? readEntityId(entityId) : null;
    return found?.set === set ? found.id : null;
  }
  return body['id'] !== undefined && Object.keys(body).every(isAnnotation) ? readId(body['id']) : undefined;
}
