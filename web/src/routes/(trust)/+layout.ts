// pages for auditors and residents are plain documents
export const csr = false;
