/**
 * Text as we keep it: well-formed Unicode in NFC, line feeds only, no character that XML 1.0 §2.2 or a PostgreSQL text
 * forbids, trimmed. Markup stays what it is, plain characters; every output escapes it.
 */
export function cleanText(text: string): string {
  if (/^[ -~\n]*$/.test(text)) return text.trim(); // plain ASCII, the usual case
  return text
    .toWellFormed()
    .normalize('NFC')
    .replace(/\r\n?/g, '\n')
    .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F\uFFFE\uFFFF]/g, '')
    .trim();
}

/** One line of clean text. */
export function cleanLine(text: string): string {
  return cleanText(text).replace(/\s+/g, ' ');
}

/** Folded for comparison: no case, no accents, words parted by one space. */
export function fold(text: string): string {
  const lower = text.toLowerCase();
  // plain ASCII, the usual case of a long list, needs no Unicode tables
  if (/^[ -~]*$/.test(lower)) return lower.replace(/[^a-z0-9]+/g, ' ').trim();
  return lower
    .toWellFormed()
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .replaceAll('ß', 'ss')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}
