import { uniform, hashOf } from './random.ts';
import { firstDropsMs, type Scenario, STORM_CYCLE_MS } from './storm.ts';

/** What a resident of the demo city reports. All persons are invented. */
export interface ResidentReport {
  readonly service_code: string;
  readonly language: 'es' | 'de' | 'en';
  readonly description: string;
  /** Reference of the place near which it is reported. */
  readonly near: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly contact?: { readonly first_name: string; readonly last_name: string; readonly email: string; readonly phone?: string };
}

/** Reports of a storm, by the storm's minute. */
const STORM_REPORTS: readonly (readonly [minute: number, report: ResidentReport])[] = [
  [2.4, { service_code: 'flooded-street', language: 'es', near: 'drain-001', description: 'El agua sube rápido en la esquina, la boca de tormenta está tapada con hojas.', contact: { first_name: 'Lucía', last_name: 'Ferrando', email: 'lucia.ferrando@example.org', phone: '+598 2 000 0101' } }],
  [5, { service_code: 'flooded-street', language: 'en', near: 'drain-001', description: 'Water is coming up out of the drain and covers both lanes. Cars are turning round.', attributes: { DEPTH_CM: '20' } }],
  [8, { service_code: 'flooded-street', language: 'de', near: 'drain-002', description: 'Die Kreuzung steht unter Wasser, etwa bis zum Bordstein. Der Gully läuft über.', contact: { first_name: 'Jonas', last_name: 'Reimers', email: 'jonas.reimers@example.org' } }],
  [11, { service_code: 'street-light', language: 'es', near: 'street-lamp-001', description: 'Se apagaron todas las luces de la cuadra después del trueno.', attributes: { FAULT: 'out' }, contact: { first_name: 'Moira', last_name: 'Tennant', email: 'moira.tennant@example.org' } }],
  [18, { service_code: 'flooded-street', language: 'es', near: 'road-section-001', description: 'Hay un auto detenido en el agua y el tránsito no avanza.', attributes: { DEPTH_CM: '35' } }],
  [27, { service_code: 'illegal-dumping', language: 'de', near: 'waste-bin-003', description: 'Der Sturm hat die Mülltonnen umgeworfen, der Abfall liegt auf dem Gehweg.', attributes: { WASTE: 'household' } }],
  [36, { service_code: 'pothole', language: 'es', near: 'road-section-004', description: 'Con la lluvia se abrió un pozo grande en el carril derecho.', attributes: { SURFACE: 'road' }, contact: { first_name: 'Andrés', last_name: 'Bonaventura', email: 'andres.bonaventura@example.org', phone: '+598 2 000 0117' } }],
  [52, { service_code: 'pothole', language: 'en', near: 'road-section-009', description: 'A piece of the surface has washed away next to the kerb; cyclists swerve into the traffic.', attributes: { SURFACE: 'cycle' } }],
];

/** What people report on any day, one every half hour or so while the city is awake. */
const EVERYDAY_REPORTS: readonly ResidentReport[] = [
  { service_code: 'pothole', language: 'es', near: 'road-section-021', description: 'Bache profundo frente a la parada del ómnibus.', attributes: { SURFACE: 'road' } },
  { service_code: 'street-light', language: 'de', near: 'street-lamp-077', description: 'Die Laterne vor unserem Haus ist seit zwei Wochen aus.', attributes: { FAULT: 'out' }, contact: { first_name: 'Hanna', last_name: 'Wiebrecht', email: 'hanna.wiebrecht@example.org' } },
  { service_code: 'illegal-dumping', language: 'es', near: 'waste-bin-041', description: 'Dejaron escombros al lado del contenedor.', attributes: { WASTE: 'rubble' } },
  { service_code: 'street-light', language: 'en', near: 'street-lamp-102', description: 'This lamp flickers all evening.', attributes: { FAULT: 'flickers' } },
  { service_code: 'noise', language: 'es', near: 'noise-meter-007', description: 'La ventilación del edificio hace un zumbido toda la noche.', attributes: { SOURCE: 'machine' }, contact: { first_name: 'Nélida', last_name: 'Quiroga', email: 'nelida.quiroga@example.org' } },
  { service_code: 'pothole', language: 'de', near: 'road-section-033', description: 'Auf dem Radweg ist der Asphalt aufgebrochen.', attributes: { SURFACE: 'cycle' } },
  { service_code: 'illegal-dumping', language: 'en', near: 'waste-bin-118', description: 'An old sofa and two chairs stand on the pavement.', attributes: { WASTE: 'furniture' } },
  { service_code: 'street-light', language: 'es', near: 'street-lamp-190', description: 'La farola queda encendida de día.', attributes: { FAULT: 'day' } },
  { service_code: 'noise', language: 'en', near: 'noise-meter-015', description: 'The building site starts its generator at five in the morning.', attributes: { SOURCE: 'site' } },
  { service_code: 'pothole', language: 'es', near: 'road-section-058', description: 'Vereda rota, una persona con bastón casi se cae.', attributes: { SURFACE: 'foot' }, contact: { first_name: 'Tomás', last_name: 'Ibarlucea', email: 'tomas.ibarlucea@example.org' } },
];
const EVERYDAY_STEP_MS = 30 * 60_000;

/** The reports that residents file in [fromMs, toMs) of the scenario's time. A pure function. */
export function reportsBetween(scenario: Scenario, beganMs: number, fromMs: number, toMs: number): ResidentReport[] {
  const reports: ResidentReport[] = [];
  if (scenario === 'storm-day') {
    for (let storm = Math.max(0, Math.floor((fromMs - beganMs) / STORM_CYCLE_MS)); firstDropsMs(beganMs, storm) < toMs; storm += 1) {
      for (const [minute, report] of STORM_REPORTS) {
        const atMs = firstDropsMs(beganMs, storm) + minute * 60_000;
        if (atMs >= fromMs && atMs < toMs) reports.push(report);
      }
    }
  }
  const seed = hashOf('everyday-reports');
  for (let step = Math.floor(fromMs / EVERYDAY_STEP_MS); step <= Math.floor(toMs / EVERYDAY_STEP_MS); step += 1) {
    const atMs = step * EVERYDAY_STEP_MS + uniform(seed, step) * EVERYDAY_STEP_MS;
    const hour = new Date(atMs).getUTCHours();
    // Seven in the morning to ten at night, UTC-3.
    if (atMs < fromMs || atMs >= toMs || (hour >= 1 && hour < 10)) continue;
    reports.push(EVERYDAY_REPORTS[Math.floor(uniform(seed + 1, step) * EVERYDAY_REPORTS.length)] as ResidentReport);
  }
  return reports;
}

/** The form of POST /open311/v2/requests.json (GeoReport v2, POST Service Request). */
export function formOf(report: ResidentReport, point: readonly [lon: number, lat: number]): URLSearchParams {
  const form = new URLSearchParams({ service_code: report.service_code, description: report.description, lat: String(point[1]), long: String(point[0]) });
  for (const [code, value] of Object.entries(report.attributes ?? {})) form.append(`attribute[${code}]`, value);
  for (const [field, value] of Object.entries(report.contact ?? {})) form.append(field, value);
  return form;
}
