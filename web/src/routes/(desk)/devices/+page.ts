/** Unlike the plain forms beside it, this page waits for readings and draws a map. */
export const csr = true;
