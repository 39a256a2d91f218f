import { Refused } from '../../kernel/index.ts';
import { lockFolder } from '../../platform/index.ts';

/** One writer a folder. Throws `Refused` when another process has it. */
export function holdLogFolder(folder: string): () => void {
  try {
    return lockFolder(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
    throw new Refused({ code: 'start.already-running', detail: `The transparency log is held: ${(error as Error).message}.` });
  }
}
