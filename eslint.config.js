import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['node_modules/', 'web/build/', 'web/.svelte-kit/', 'data/', 'artefacts/'] },
  {
    files: ['src/**/*.ts', 'demo/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'tools/**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname }, globals: globals.node },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/require-await': 'off',
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      // a factory closes over its state and so holds every function of its thing
      'max-lines-per-function': ['error', { max: 180, skipBlankLines: true, skipComments: true }],
      'no-empty': ['error', { allowEmptyCatch: false }],
      eqeqeq: ['error', 'always'],
    },
  },
  { files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts'], rules: { 'max-lines-per-function': 'off' } },
  {
    // whole-system tests look into JSON answers of servers, which have no types on this side
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: Object.fromEntries(['no-explicit-any', 'no-unsafe-assignment', 'no-unsafe-argument', 'no-unsafe-call', 'no-unsafe-member-access', 'no-unsafe-return'].map((name) => [`@typescript-eslint/${name}`, 'off'])),
  },
  { files: ['web/src/**/*.ts'], extends: [...tseslint.configs.recommended], languageOptions: { globals: globals.browser } },
  {
    files: ['web/src/**/*.svelte', 'web/src/**/*.svelte.ts'],
    extends: [...svelte.configs['flat/recommended']],
    languageOptions: { parserOptions: { parser: tseslint.parser }, globals: globals.browser },
    rules: { 'svelte/no-navigation-without-resolve': 'off' },
  },
);
