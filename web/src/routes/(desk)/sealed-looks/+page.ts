// its acts ask for a fresh proof of who somebody is, which a passkey gives by script alone
export const csr = true;
