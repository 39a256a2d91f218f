// sent so that the proofs can be checked on the resident's own device; the page reads and writes without it
export const csr = true;
