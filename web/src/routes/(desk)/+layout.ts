// plain forms; no script is sent
export const csr = false;
