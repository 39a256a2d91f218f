import { isoOf } from '../../../kernel/index.ts';
import { frag, raw, type Fragment } from '../fragment.ts';
import { scalar, type Value } from '../value.ts';
import type { FunctionModel } from './function.ts';

const utc = (at: Fragment): Fragment => frag`(${at} at time zone 'UTC')`;
const part = (name: string, field: string): FunctionModel => of(name, (at) => scalar('number', frag`extract(${raw(field)} from ${utc(at)})::double precision`));
const of = (name: string, build: (at: Fragment) => Value): FunctionModel => ({ name, parameters: ['instant'], least: 1, scalars: ([at = frag`null::timestamptz`]) => build(at) });
const fixed = (name: string, text: (nowMs: number) => string): FunctionModel => ({ name, parameters: [], least: 0, scalars: (_args, { nowMs }) => scalar('instant', frag`${text(nowMs)}::timestamptz`) });

/** OData 4.0 Part 2 §5.1.1.8, in UTC: times are stored without the zone that they were sent with. An interval counts by its start. */
export const dateFunctions: readonly FunctionModel[] = [
  part('year', 'year'),
  part('month', 'month'),
  part('day', 'day'),
  part('hour', 'hour'),
  part('minute', 'minute'),
  of('second', (at) => scalar('number', frag`floor(extract(second from ${utc(at)}))::double precision`)),
  of('fractionalseconds', (at) => scalar('number', frag`(extract(second from ${utc(at)}) % 1)::double precision`)),
  of('date', (at) => scalar('date', frag`${utc(at)}::date`)),
  of('time', (at) => scalar('time', frag`${utc(at)}::time`)),
  of('totaloffsetminutes', (at) => scalar('number', frag`(case when ${at} is not null then 0 end)`)),
  fixed('now', (nowMs) => isoOf(nowMs)),
  fixed('mindatetime', () => '0001-01-01T00:00:00Z'),
  fixed('maxdatetime', () => '9999-12-31T23:59:59.999Z'),
];
