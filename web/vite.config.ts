import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import adapter from '@sveltejs/adapter-node';
import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vite';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// adapter-node 6 reads `package.json` of the working folder to learn what stays outside the bundle; ours lies one folder up
if (isMainThread) process.chdir(here('..'));

export default defineConfig({
  root: here('.'),
  resolve: { alias: { '#lib': here('./src/lib'), '#messages': here('./messages'), '#contracts': here('../src/contracts') } },
  build: { target: 'es2022', chunkSizeWarningLimit: 1_200 },
  plugins: [
    sveltekit({
      adapter: adapter({ out: here('./build'), precompress: true }),
      outDir: '.svelte-kit',
      // The server sends a policy of its own only where there is none; pages get this one with a nonce for the boot script.
      csp: {
        mode: 'auto',
        directives: {
          'default-src': ['self'],
          'script-src': ['self'],
          'style-src': ['self', 'unsafe-inline'],
          'img-src': ['self', 'data:', 'blob:'],
          'worker-src': ['self', 'blob:'],
          'connect-src': ['self'],
          'frame-ancestors': ['none'],
          'base-uri': ['none'],
          'form-action': ['self'],
          'object-src': ['none'],
          'require-trusted-types-for': ['script'],
          'trusted-types': ['svelte-trusted-html', 'default'],
          'report-uri': ['/api/csp-reports'],
        },
      },
      version: { pollInterval: 0 },
    }),
  ],
});
