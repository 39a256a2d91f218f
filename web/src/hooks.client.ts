/**
 * Trusted Types (W3C): the policy of content security lets no string become markup, script or address of a worker, but through
 * these. MapLibre makes its workers from blobs of its own bundle, and the attribution of the map is text of the city's own files.
 */
interface PolicyFactory {
  createPolicy(name: string, rules: { createHTML(text: string): string; createScript(): string; createScriptURL(address: string): string }): unknown;
}

const factory = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes;
factory?.createPolicy('default', {
  createHTML: (text) => text.replaceAll('<', '&lt;'),
  // zod asks once whether it may compile code, and goes on without
  createScript: () => '',
  createScriptURL: (address) => {
    const { protocol, origin } = new URL(address, location.href);
    if (protocol !== 'blob:' && origin !== location.origin) throw new TypeError(`a script from ${origin} is not run here`);
    return address;
  },
});
