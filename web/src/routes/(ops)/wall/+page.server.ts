import { readPicture } from '#lib/server/picture.ts';
import type { PageServerLoad } from './$types';

export const load: PageServerLoad = async (event) => ({ start: await readPicture(event), theme: event.locals.theme });
