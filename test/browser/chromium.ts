import { existsSync } from 'node:fs';
import { chromium, type Browser, type BrowserContext, type BrowserContextOptions, type Page } from 'playwright-core';

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/usr/bin/google-chrome-stable'];
// WebGL without a graphics card, and no request of the browser's own
const FLAGS = ['--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'];

/** The installed Chromium; undefined where there is none, so that a test can say that it was left out. CHROMIUM names another. */
export function findChromium(): string | undefined {
  return [process.env['CHROMIUM'], ...CANDIDATES].find((path) => path !== undefined && path !== '' && existsSync(path));
}

export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (executablePath === undefined) throw new Error(`no Chromium at ${CANDIDATES.join(', ')}; set CHROMIUM to its path`);
  return chromium.launch({ executablePath, args: FLAGS, chromiumSandbox: false });
}

export interface WatchedPage {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What went wrong since the page was opened: console errors (among them violations of the content security policy), uncaught errors. */
  readonly faults: string[];
  /** Requests to any other origin than that of the first page; must stay empty. */
  readonly foreign: string[];
}

/** A page that remembers its faults and every request that leaves the origin. */
export async function watchedPage(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<WatchedPage> {
  const context = await browser.newContext({ baseURL: origin, ...options });
  const page = await context.newPage();
  const faults: string[] = [];
  const foreign: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.stack ?? String(error)));
  context.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(origin).origin && !['data:', 'blob:'].includes(url.protocol)) foreign.push(request.url());
  });
  return { context, page, faults, foreign };
}

/** Resolves when every map of the page has drawn what it has. */
export async function mapIdle(page: Page): Promise<void> {
  await page.waitForSelector('[data-map="idle"]', { state: 'attached' });
}
