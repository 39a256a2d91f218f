/** Changes ask for a fresh proof of who somebody is, which needs scripts. */
export const csr = true;
