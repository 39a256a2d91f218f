/** The list is read without words; showing them, searching and exporting take a reason, which a script keeps for this page view. */
export const csr = true;
