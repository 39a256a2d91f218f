// residents' pages work without JavaScript, so none is sent
export const csr = false;
