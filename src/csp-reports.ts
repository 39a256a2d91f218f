import { z } from 'zod';
import { Counter, CSP_REPORTS_PATH, type Http, type Logger, type Metrics } from './platform/index.ts';

const BODY_BYTES = 16_384;
/** Different violations that are logged since the start; after them only the figure grows. */
const LOGGED_MAX = 50;
const DIRECTIVES = new Set(['default-src', 'script-src', 'script-src-elem', 'script-src-attr', 'style-src', 'style-src-elem', 'style-src-attr', 'img-src', 'font-src', 'connect-src', 'media-src', 'frame-src', 'worker-src', 'object-src', 'manifest-src', 'base-uri', 'form-action', 'frame-ancestors', 'require-trusted-types-for', 'trusted-types']);

/** A report as report-uri sends it (CSP3 §5.3). The address of the page is not read: a resident's page has the secret link in it. */
const Report = z.object({ 'csp-report': z.object({ 'effective-directive': z.string().max(100).optional(), 'violated-directive': z.string().max(200).optional(), 'blocked-uri': z.string().max(8_192).optional() }) });

/** Takes the violations that browsers report: a figure by directive, and one line of the server's log for each directive and origin. */
export async function registerCspReports(http: Http, { metrics, logger }: { metrics: Metrics; logger: Logger }): Promise<void> {
  const violations = new Counter({ name: 'clerestory_csp_violations_total', help: 'What browsers say that the content security policy stopped', labelNames: ['directive'], registers: [metrics] });
  const logged = new Set<string>();
  await http.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(['application/csp-report', 'application/json'], { parseAs: 'string', bodyLimit: BODY_BYTES }, scope.getDefaultJsonParser('error', 'error'));
    scope.post(CSP_REPORTS_PATH, { config: { action: 'public' }, schema: { hide: true, body: Report } }, async (request, reply) => {
      const { 'csp-report': report } = request.body as z.infer<typeof Report>;
      const named = report['effective-directive'] ?? report['violated-directive']?.split(' ')[0] ?? '';
      const directive = DIRECTIVES.has(named) ? named : 'other';
      violations.inc({ directive });
      const blocked = originOfBlocked(report['blocked-uri'] ?? '');
      if (logged.size < LOGGED_MAX && !logged.has(`${directive} ${blocked}`)) {
        logged.add(`${directive} ${blocked}`);
        logger.warn({ directive, blocked }, 'a browser reports that the content security policy stopped something in a page');
      }
      return reply.code(204).send();
    });
  });
}

/** The origin, or the keyword that stands in its place (inline, eval, trusted-types-sink); never a path. */
function originOfBlocked(blocked: string): string {
  if (/^[a-z-]{1,40}$/.test(blocked)) return blocked;
  return URL.canParse(blocked) ? new URL(blocked).origin : 'unreadable';
}
