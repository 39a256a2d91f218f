import { queryFault } from '../query/fault.ts';
import { NO_OPTIONS, type QueryOptions } from '../query/syntax.ts';
import { formatCsv, formatGeoJson, withMetadata, type FormattedPage } from './formats.ts';
import type { Collection, ReadSession } from './read-store.ts';
import type { Json, Renderer } from './render.ts';

/** What a GET of a set answers, in the form that `$resultFormat` and `$resultMetadata` ask for. Throws `Refused`. */
export async function answerSet({ collection, references }: { readonly collection: Collection; readonly references: boolean }, asked: QueryOptions, session: ReadSession, renderer: Renderer, path: string): Promise<Json | FormattedPage> {
  const { model } = collection;
  const { resultFormat } = asked;
  checkForm(collection, asked, references);
  // a table holds no links; the ids stay, because rows are found by them
  const options: QueryOptions = resultFormat === 'CSV' || resultFormat === 'GeoJSON' ? { ...asked, metadata: asked.metadata === 'full' ? 'minimal' : asked.metadata } : asked;
  if (options.distinct) {
    const { values, count, next } = await session.readCombinations(collection, options);
    const page = { ...renderer.page({ entities: [], count, next }, path, options), value: values };
    return resultFormat === 'CSV' ? formatCsv(model, page) : page;
  }
  const page = await session.readPage(collection, options);
  if (references) return renderer.references(page, path, options);
  if (resultFormat === 'dataArray') return renderer.dataArray(page, path, options);
  const json = renderer.page(page, path, options);
  const shown = options.metadata === 'full' ? json : { ...json, value: (json['value'] as Json[]).map((entity) => withMetadata(model, entity, options.metadata)) };
  if (resultFormat === 'CSV') return formatCsv(model, shown);
  return resultFormat === 'GeoJSON' ? formatGeoJson(model, options, shown) : shown;
}

function checkForm({ model }: Collection, { resultFormat, expand, select, distinct }: QueryOptions, references: boolean): void {
  if (references && (resultFormat !== null || distinct)) throw queryFault(distinct ? '$select' : '$resultFormat', 0, 'references come as JSON only.');
  if (distinct && (resultFormat === 'dataArray' || resultFormat === 'GeoJSON')) throw queryFault('$resultFormat', 0, `combinations of distinct: come as JSON or CSV, not as ${resultFormat}.`);
  if (resultFormat !== 'dataArray') return;
  if (model.set !== 'Observations') throw queryFault('$resultFormat', 0, 'dataArray is a form of Observations.');
  if (expand.length > 0) throw queryFault('$resultFormat', 0, 'a dataArray holds no related entities; leave $expand out.');
  const part = select?.find(({ rest }) => rest.length > 0);
  if (part !== undefined) throw queryFault('$select', part.at, 'a dataArray holds whole properties only.');
}

/** `/Things/$count` (OData 4.0 Part 1 §11.2.9): how many meet the $filter; $top, $skip and the like are refused. */
export async function answerCount(collection: Collection, options: QueryOptions, session: ReadSession): Promise<string> {
  const wrong = options.texts.find(([name]) => name !== '$filter');
  if (wrong !== undefined) throw queryFault(wrong[0], 0, 'a bare count takes $filter only.');
  return String(await session.readCount(collection, { ...NO_OPTIONS, filter: options.filter, texts: options.texts }));
}
