import { cookieName } from './cookie-name.ts';

/** The switch of the room: follow the system, light, or dark (dimmed grey). Kept in a cookie so that the server draws it right. */
export const THEMES = ['auto', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];
export const THEME_COOKIE = 'theme';

export const isTheme = (value: string): value is Theme => (THEMES as readonly string[]).includes(value);

const YEAR_S = 31_536_000;

/** In the browser only. */
export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme = theme;
  const isSecure = location.protocol === 'https:';
  document.cookie = `${cookieName(THEME_COOKIE, isSecure)}=${theme}; path=/; max-age=${YEAR_S}; samesite=lax${isSecure ? '; secure' : ''}`;
}

/** What is on screen now, with `auto` resolved. In the browser only. */
export function shownTheme(): 'light' | 'dark' {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === 'light' || chosen === 'dark') return chosen;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}
