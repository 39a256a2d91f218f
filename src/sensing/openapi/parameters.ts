import { LIMITS } from '../../kernel/index.ts';
import type { EntityModel } from '../entities/model.ts';
import { RESULT_FORMATS, RESULT_METADATA } from '../query/syntax.ts';
import type { Schema } from './schema.ts';

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly description?: string;
  readonly schema: Schema;
  readonly example?: unknown;
}

/** Query options of 18-088 §9.3, shared by every set; the whole grammar stands in docs/reference/sensorthings.md. */
export const QUERY_OPTIONS: Readonly<Record<string, Parameter>> = {
  filter: {
    name: '$filter',
    in: 'query',
    description:
      'A condition of eq, ne, gt, ge, lt, le, and, or, not, add, sub, mul, div, mod and functions, over properties, parts of JSON (properties/a/b) and paths to related entities (Datastream/Thing/name). Texts stand in single quotes, a quote inside is doubled; times are ISO 8601 without quotes; shapes are geography\'POINT (11.57 48.14)\'. A fault names the character.',
    schema: { type: 'string' },
    example: "contains(name,'level') and id gt 10",
  },
  orderby: { name: '$orderby', in: 'query', description: 'Properties or paths, each with asc or desc, separated by commas; at most 10.', schema: { type: 'string' }, example: 'name desc,id' },
  top: { name: '$top', in: 'query', description: `Rows of a page, at most ${String(LIMITS.page_rows)}.`, schema: { type: 'integer', minimum: 0, default: LIMITS.page_default_rows } },
  skip: { name: '$skip', in: 'query', description: 'Rows to leave out. The next link of an answer leads on faster and never skips or repeats a row.', schema: { type: 'integer', minimum: 0 } },
  count: { name: '$count', in: 'query', description: 'Whether to say how many there are before $top and $skip.', schema: { type: 'boolean' } },
  select: { name: '$select', in: 'query', description: 'Names of properties or parts of them (properties/a/b), separated by commas. Before them, distinct: asks for the different combinations of a set.', schema: { type: 'string' }, example: 'id,name' },
  expand: {
    name: '$expand',
    in: 'query',
    description: `Relations to answer in full, separated by commas, each with options of its own in parentheses, separated by semicolons; at most ${String(LIMITS.expand_depth)} deep. A path A/B expands B in A.`,
    schema: { type: 'string' },
  },
  skiptoken: { name: '$skiptoken', in: 'query', description: 'Where the page before ended; comes with a next link and means nothing elsewhere.', schema: { type: 'string' } },
  resultFormat: { name: '$resultFormat', in: 'query', description: 'Another form of the answer: rows of common columns for Observations (dataArray), a table (CSV), or features for what has a geometry (GeoJSON). The next link stands in the header Link, too.', schema: { type: 'string', enum: [...RESULT_FORMATS] } },
  resultMetadata: { name: '$resultMetadata', in: 'query', description: 'How much control information comes with the entities.', schema: { type: 'string', enum: [...RESULT_METADATA], default: 'full' } },
};

export const OF_SET = ['filter', 'orderby', 'top', 'skip', 'count', 'select', 'expand', 'skiptoken', 'resultFormat', 'resultMetadata'] as const;
export const OF_ENTITY = ['select', 'expand', 'resultMetadata'] as const;
export const OF_LINKS = ['filter', 'orderby', 'top', 'skip', 'count', 'skiptoken'] as const;

export const idParameter = (name: string, of: EntityModel): Parameter => ({ name, in: 'path', required: true, description: `Id of the ${of.name}.`, schema: { type: 'integer', minimum: 1 } });

export const propertyParameter = (of: EntityModel): Parameter => ({ name: 'property', in: 'path', required: true, description: `A property of the ${of.name}; parts of JSON follow after further slashes, such as properties/a/b.`, schema: { type: 'string', enum: of.properties.map(({ name }) => name) } });
