/** Unlike the plain forms beside it, this page reads a file and sends it. */
export const csr = true;
