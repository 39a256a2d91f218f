import { POSITIONS, type Position } from '#contracts/principal.ts';
import type { Person } from '#contracts/session.ts';
import { read } from '#lib/trust/read.ts';
import type { PageServerLoad } from './$types';

const HUMAN = POSITIONS.filter((position): position is Exclude<Position, 'device'> => position !== 'device');

export const load: PageServerLoad = async ({ fetch }) => ({ people: await read<Person[]>(fetch, '/api/people'), positions: HUMAN });
