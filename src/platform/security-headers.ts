/** Where browsers send what the content security policy stopped (CSP3 §5.3). */
export const CSP_REPORTS_PATH = '/api/csp-reports';

const ONE_YEAR_S = 31_536_000;

/**
 * Of every response; pages bring a policy of their own. `isSecure`: the city is visited by https, so it asks for nothing else, for its
 * host and the names below it (RFC 6797 §6.1).
 */
export function securityHeaders(isSecure: boolean): Readonly<Record<string, string>> {
  return {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin', // no-referrer would make browsers send Origin: null with forms (Fetch §3.2.2)
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'x-frame-options': 'DENY',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=(), bluetooth=()',
    ...(isSecure ? { 'strict-transport-security': `max-age=${ONE_YEAR_S}; includeSubDomains` } : {}),
  };
}

export const CONTENT_SECURITY_POLICY = `default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'; report-uri ${CSP_REPORTS_PATH}`;
