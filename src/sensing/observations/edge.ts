import { frag, raw, type Fragment } from '../query/fragment.ts';

/**
 * Select of phenomenon_start, phenomenon_end and result_time of the first or last observation of the datastream `stream` (SQL of its
 * id) by phenomenon time. Of packed readings only the outermost segment is unpacked. `within` narrows, over the columns of the view.
 */
export function edgeOf(stream: Fragment, order: 'asc' | 'desc', within: Fragment = raw('true')): Fragment {
  const [bound, outermost] = order === 'asc' ? [raw('span_first'), raw('min(first_start)')] : [raw('span_last'), raw('max(last_start)')];
  const columns = raw('phenomenon_start, phenomenon_end, result_time');
  const inOrder = raw(`order by phenomenon_start ${order}, id ${order} limit 1`);
  return frag`
    select ${columns} from (
      (select ${columns}, id from (select *, phenomenon_start as span_first, phenomenon_start as span_last from observation_hot) o where datastream_id = ${stream} and ${within} ${inOrder})
      union all
      (select ${columns}, id from observation_sealed o where datastream_id = ${stream} and ${bound} = (select ${outermost} from observation_segment where datastream_id = ${stream}) and ${within} ${inOrder})
    ) edge ${inOrder}`;
}
