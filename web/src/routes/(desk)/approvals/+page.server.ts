import type { ApprovalList } from '#contracts/approval.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async ({ fetch }) => ({ list: await read<ApprovalList>(fetch, '/api/approvals') });
