/** Over https a cookie is for this very host and for nobody below or beside it (RFC 6265bis §4.1.3.2); plain http has no such name. */
export const cookieName = (name: string, isSecure: boolean): string => (isSecure ? `__Host-${name}` : name);
