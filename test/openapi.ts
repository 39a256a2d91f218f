import { resolve, schemaFaults } from './json-schema.ts';

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'] as const;
const PATH_MEMBERS = new Set<string>([...METHODS, 'summary', 'description', 'servers', 'parameters', '$ref']);

/** Faults of an OpenAPI 3.1 document (OpenAPI Specification 3.1.0 §4.8): its frame, references, ids, parameters, examples. */
export function documentFaults(document: any): string[] {
  const faults: string[] = [];
  if (!/^3\.1\.\d+$/.test(document.openapi)) faults.push(`openapi is ${String(document.openapi)}`);
  for (const member of ['title', 'version']) if (typeof document.info?.[member] !== 'string') faults.push(`info.${member} is missing`);
  for (const kind of Object.values<any>(document.components ?? {})) for (const name of Object.keys(kind)) if (!/^[\w.-]+$/.test(name)) faults.push(`component ${name} has a wrong name`);
  visit(document, '', (node, at) => {
    if (typeof node['$ref'] === 'string')
      try {
        resolve(document, node['$ref']);
      } catch (error) {
        faults.push(`${at}: ${String(error)}`);
      }
    for (const example of isSchemaPlace(at) && Array.isArray(node['examples']) ? node['examples'] : []) faults.push(...schemaFaults(example, node, document).map((fault) => `${at} example ${fault}`));
  });
  const ids = new Set<string>();
  const shapes = new Map<string, string>();
  for (const [path, item] of Object.entries<any>(document.paths)) {
    if (!path.startsWith('/')) faults.push(`path ${path} does not begin with a slash`);
    const shape = path.replace(/\{[^}]+\}/g, '{}');
    if (shapes.has(shape)) faults.push(`${path} is the same as ${String(shapes.get(shape))}`);
    shapes.set(shape, path);
    for (const member of Object.keys(item)) if (!PATH_MEMBERS.has(member) && !member.startsWith('x-')) faults.push(`${path} has an unknown member ${member}`);
    for (const method of METHODS) if (item[method] !== undefined) faults.push(...operationFaults(document, path, method, item, ids));
  }
  return faults;
}

function operationFaults(document: any, path: string, method: string, item: any, ids: Set<string>): string[] {
  const faults: string[] = [];
  const operation = item[method];
  const at = `${method.toUpperCase()} ${path}`;
  if (operation.operationId !== undefined) {
    if (ids.has(operation.operationId)) faults.push(`${at}: operationId ${operation.operationId} is there twice`);
    ids.add(operation.operationId);
  }
  const parameters = [...(item.parameters ?? []), ...(operation.parameters ?? [])].map((each: any) => (each.$ref === undefined ? each : resolve(document, each.$ref)));
  const keys = parameters.map((each: any) => `${each.in} ${each.name}`);
  for (const [index, key] of keys.entries()) if (keys.indexOf(key) !== index) faults.push(`${at}: parameter ${key} is there twice`);
  for (const each of parameters) {
    if (each.schema === undefined && each.content === undefined) faults.push(`${at}: parameter ${each.name} has no schema`);
    if (each.in === 'path' && (each.required !== true || !path.includes(`{${each.name}}`))) faults.push(`${at}: path parameter ${each.name} is not required or not in the path`);
  }
  for (const [, name] of path.matchAll(/\{([^}]+)\}/g)) if (!keys.includes(`path ${name}`)) faults.push(`${at}: {${name}} is not declared`);
  const statuses = Object.keys(operation.responses ?? {});
  if (statuses.length === 0) faults.push(`${at}: no response is described`);
  for (const status of statuses) if (!/^([1-5](\d\d|XX)|default)$/.test(status)) faults.push(`${at}: ${status} is no status`);
  for (const [status, response] of Object.entries<any>(operation.responses ?? {})) if (response.$ref === undefined && typeof response.description !== 'string') faults.push(`${at}: response ${status} has no description`);
  for (const requirement of operation.security ?? []) for (const scheme of Object.keys(requirement)) if (document.components?.securitySchemes?.[scheme] === undefined) faults.push(`${at}: there is no security scheme ${scheme}`);
  return faults;
}

const isSchemaPlace = (at: string): boolean => /\/components\/schemas\/|\/schema(\/|$)/.test(at);

function visit(node: unknown, at: string, look: (node: Record<string, any>, at: string) => void): void {
  if (Array.isArray(node)) for (const [index, each] of node.entries()) visit(each, `${at}/${index}`, look);
  else if (typeof node === 'object' && node !== null) {
    look(node as Record<string, any>, at);
    for (const [name, each] of Object.entries(node)) if (name !== 'examples' && name !== 'example') visit(each, `${at}/${name}`, look);
  }
}
