/** Unlike the plain forms beside it, this page looks again by itself; without script its forms still work. */
export const csr = true;
