// The house's direction, from one ordered list: a module may import those before it, through their index.ts only.
const ORDER = ['kernel', 'platform', 'trust', 'sensing', 'brain', 'operations'];
const MODULES = [...ORDER, 'services'];
const others = (allowed) => MODULES.filter((name) => !allowed.includes(name));
const forbid = (name, allowed) => ({ name: `${name}-imports-only-below`, severity: 'error', from: { path: `^src/${name}/`, pathNot: '\\.test\\.ts$' }, to: { path: `^src/(${others([name, ...allowed]).join('|')}|app|main|cli|config|ingest-process)(/|\\.ts)` } });

module.exports = {
  forbidden: [
    ...ORDER.map((name, at) => forbid(name, ORDER.slice(0, at))),
    forbid('services', ['kernel', 'platform', 'trust']),
    ...MODULES.map((name) => ({
      name: `${name}-has-one-door`,
      severity: 'error',
      from: { path: '^(src|demo|bench)/', pathNot: [`^src/${name}/`, '\\.test\\.ts$'] },
      to: { path: `^src/${name}/`, pathNot: `^src/${name}/index\\.ts$` },
    })),
    { name: 'contracts-import-nothing-of-ours', severity: 'error', from: { path: '^src/contracts/' }, to: { path: '^src/(?!contracts/)' } },
    { name: 'web-imports-only-contracts', severity: 'error', from: { path: '^web/src/' }, to: { path: '^(src/(?!contracts/)|demo|test|bench)' } },
    { name: 'only-stores-write-sql', severity: 'error', from: { path: '^src/', pathNot: ['-store\\.ts$', '^src/platform/', '\\.test\\.ts$', '^src/(app|main|cli|ingest-process)'] }, to: { path: 'node_modules/(kysely|pg|pg-copy-streams)/' } },
    { name: 'only-keys-uses-ciphers', severity: 'error', from: { path: '^src/', pathNot: ['^src/trust/', '^src/kernel/', '\\.test\\.ts$', '^src/platform/database/'] }, to: { path: '^(node:)?crypto$', dependencyTypes: ['core'] } },
    { name: 'only-platform-opens-sockets', severity: 'error', from: { path: '^src/', pathNot: ['^src/platform/', '\\.test\\.ts$'] }, to: { path: '^(node:)?(net|tls|http|https|http2|dgram|dns)$', dependencyTypes: ['core'], dependencyTypesNot: ['type-only'] } },
    { name: 'no-cycles', severity: 'error', from: { path: '^(src|web/src)/' }, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
  ],
  options: { doNotFollow: { path: 'node_modules' }, tsPreCompilationDeps: true, tsConfig: { fileName: 'tsconfig.json' }, enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default'], extensions: ['.ts', '.js', '.svelte'] } },
};
