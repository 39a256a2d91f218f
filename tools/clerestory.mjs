#!/usr/bin/env node
// npx clerestory …: the command line, on the Node that the city itself runs on.
import { join } from 'node:path';
import { findNode, root, run } from './run.mjs';

process.exit(await run(findNode(), ['--disable-warning=ExperimentalWarning', join(root, 'src', 'cli.ts'), ...process.argv.slice(2)], { cwd: process.cwd() }));
