import { Refused } from '../../kernel/index.ts';
import type { EntityModel, PropertyModel } from '../entities/model.ts';
import type { Json } from '../entities/render.ts';
import type { Target } from '../entities/resource-path.ts';
import { functionNames } from '../query/functions/registry.ts';
import type { QueryOptions } from '../query/syntax.ts';
import type { Manners } from '../routes.ts';
import { HTTP_BINDING } from './conformance.ts';
import { describeModel, edmTypeOf } from './metadata.ts';
import { API_2_0 } from './model.ts';

const FORMAT = /^(?:application\/json|json)(?:;(?:odata\.)?metadata=(full|minimal|none))?$/;

/** What OGC 23-019 answers otherwise than 18-088. */
export const MANNERS_2_0: Manners = {
  isTerse: true,
  failedTest: 'http.conflict',
  readSearch,
  dress,
  landing: (root, { conformance, more }) => ({
    '@context': `${root}/$metadata`,
    value: API_2_0.models.map(({ set }) => ({ name: set, url: `${root}/${set}` })),
    serverSettings: {
      conformance: [...API_2_0.conformance, ...conformance],
      functions: functionNames(),
      [HTTP_BINDING]: { endpoints: [root] },
      ...more,
    },
  }),
  metadata: () => describeModel(API_2_0),
};

/** `$format` of §9.3.3.10 as the option that all versions share. Throws `Refused` for other formats. */
function readSearch(search: string): string {
  return search
    .split('&')
    .map((part) => {
      const equals = part.includes('=') ? part.indexOf('=') : part.length; // a value may have more of them: metadata=none
      const [name, text] = [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
      if (name === '$resultMetadata') throw refusal(name, 'it is $format=application/json;metadata=none here.');
      if (name === '$resultFormat' && text === 'dataArray') throw new Refused({ code: 'http.not-implemented', detail: '$resultFormat: dataArray is a form of version 1.1.', field: name });
      if (name !== '$format') return part;
      const metadata = FORMAT.exec(text.replaceAll(/\s/g, ''));
      if (metadata === null) throw refusal(name, 'it is json or application/json, with ;metadata=full, ;metadata=minimal or ;metadata=none.');
      return `$resultMetadata=${metadata[1] ?? 'full'}`;
    })
    .join('&');
}

const refusal = (option: string, detail: string): Refused => new Refused({ code: 'sensing.query-invalid', detail: `${option}, character 1: ${detail}`, field: option });

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // the parser of the query names the place
  }
}

/** Adds the context (§9.3.2.1), and puts the value of a property where 2.0 has it. */
function dress(answer: Json, target: Target, { metadata }: QueryOptions, root: string): Json {
  const context = (fragment: string): Json => (metadata === 'none' ? {} : { '@context': `${root}/$metadata#${fragment}` });
  switch (target.kind) {
    case 'collection':
      return { ...context(target.references ? 'Collection($ref)' : target.collection.model.set), ...answer };
    case 'entity':
      return { ...context(target.references ? '$ref' : `${target.model.set}/$entity`), ...answer };
    case 'property':
      return { ...context(typeAt(target.model, target.property, target.rest)), value: Object.values(answer)[0] };
    default:
      return answer;
  }
}

const typeAt = (model: EntityModel, property: PropertyModel, rest: readonly string[]): string => (rest.length > 0 ? 'Edm.Untyped' : edmTypeOf(model, property));

