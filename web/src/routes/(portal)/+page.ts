/** The front door is plain HTML. */
export const csr = false;
