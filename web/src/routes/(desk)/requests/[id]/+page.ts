/** Plain forms; the one script opens the browser's print dialog. */
export const csr = true;
