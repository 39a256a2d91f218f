/** Passkeys, the QR code and proving again who one is need scripts. */
export const csr = true;
