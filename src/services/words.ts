import type { Language } from '../contracts/common.ts';
import type { Outcome } from '../contracts/incident.ts';
import type { RequestState } from '../contracts/request.ts';

interface Words {
  readonly states: Readonly<Record<RequestState, string>>;
  readonly outcomes: Readonly<Record<Outcome, string>>;
  readonly reopenedByCity: string;
  readonly reopenedByResident: string;
  readonly receipt: (link: string) => string;
  readonly photoNotKept: string;
}

/** What residents read about their request, in the four languages of the portal. */
export const WORDS: Readonly<Record<Language, Words>> = {
  en: {
    states: { received: 'We have received your report.', assigned: 'Somebody in the control room has taken up your report.', in_progress: 'Work is under way.', done: 'Done.', declined: 'Closed without work.' },
    outcomes: {
      fixed: 'It was fixed.',
      made_safe: 'It was made safe; the lasting repair follows.',
      no_fault_found: 'We looked and found no fault.',
      not_ours: 'It is not in the hands of the city.',
      duplicate: 'It was reported before and is dealt with there.',
      false_alarm: 'There was no cause for work.',
    },
    reopenedByCity: 'We have opened it again.',
    reopenedByResident: 'You have opened it again:',
    receipt: (link) => `Thank you. Follow your report here, and keep the link to yourself: ${link}`,
    photoNotKept: 'Photos are not taken yet: the address of yours was not kept.',
  },
  de: {
    states: { received: 'Wir haben Ihre Meldung erhalten.', assigned: 'Jemand in der Leitstelle hat Ihre Meldung übernommen.', in_progress: 'Die Arbeit läuft.', done: 'Erledigt.', declined: 'Ohne Arbeit abgeschlossen.' },
    outcomes: {
      fixed: 'Es wurde behoben.',
      made_safe: 'Es wurde gesichert; die dauerhafte Reparatur folgt.',
      no_fault_found: 'Wir haben nachgesehen und keinen Schaden gefunden.',
      not_ours: 'Es liegt nicht in der Hand der Stadt.',
      duplicate: 'Es war schon gemeldet und wird dort bearbeitet.',
      false_alarm: 'Es gab keinen Anlass für eine Arbeit.',
    },
    reopenedByCity: 'Wir haben die Meldung wieder geöffnet.',
    reopenedByResident: 'Sie haben die Meldung wieder geöffnet:',
    receipt: (link) => `Danke. Hier verfolgen Sie Ihre Meldung; geben Sie den Link nicht weiter: ${link}`,
    photoNotKept: 'Fotos nehmen wir noch nicht an: die Adresse Ihres Fotos wurde nicht aufbewahrt.',
  },
  es: {
    states: { received: 'Hemos recibido su aviso.', assigned: 'Alguien de la sala de control se ocupa de su aviso.', in_progress: 'El trabajo está en marcha.', done: 'Terminado.', declined: 'Cerrado sin trabajo.' },
    outcomes: {
      fixed: 'Se ha reparado.',
      made_safe: 'Se ha asegurado; la reparación definitiva vendrá después.',
      no_fault_found: 'Hemos mirado y no hemos encontrado ningún fallo.',
      not_ours: 'No está en manos de la ciudad.',
      duplicate: 'Ya se había avisado y se trata allí.',
      false_alarm: 'No había motivo para un trabajo.',
    },
    reopenedByCity: 'Hemos vuelto a abrir el aviso.',
    reopenedByResident: 'Usted ha vuelto a abrir el aviso:',
    receipt: (link) => `Gracias. Siga aquí su aviso y no comparta el enlace: ${link}`,
    photoNotKept: 'Aún no se admiten fotos: no se ha guardado la dirección de la suya.',
  },
  fr: {
    states: { received: 'Nous avons reçu votre signalement.', assigned: "Quelqu'un de la salle de contrôle s'occupe de votre signalement.", in_progress: 'Le travail est en cours.', done: 'Terminé.', declined: 'Clos sans travaux.' },
    outcomes: {
      fixed: "C'est réparé.",
      made_safe: "C'est mis en sécurité ; la réparation définitive suivra.",
      no_fault_found: "Nous avons vérifié et n'avons trouvé aucun défaut.",
      not_ours: "Ce n'est pas du ressort de la ville.",
      duplicate: "C'était déjà signalé et c'est traité là.",
      false_alarm: "Il n'y avait pas lieu d'intervenir.",
    },
    reopenedByCity: 'Nous avons rouvert le signalement.',
    reopenedByResident: 'Vous avez rouvert le signalement :',
    receipt: (link) => `Merci. Suivez votre signalement ici, et gardez le lien pour vous : ${link}`,
    photoNotKept: "Les photos ne sont pas encore acceptées : l'adresse de la vôtre n'a pas été gardée.",
  },
};

/** The first served language that the caller asks for: `locale`, then Accept-Language in its order (RFC 9110 §12.5.4), then the city's. */
export function chooseLanguage(served: readonly Language[], fallback: Language, locale: string | undefined, acceptLanguage: string | undefined): Language {
  const asked = (acceptLanguage ?? '')
    .slice(0, 500)
    .split(',')
    .map((part) => {
      const [tag = '', ...parameters] = part.trim().split(';');
      const q = parameters.map((parameter) => /^\s*q=([\d.]+)\s*$/.exec(parameter)?.[1]).find((value) => value !== undefined);
      return { tag, weight: q === undefined ? 1 : Number(q) };
    })
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ tag }) => tag);
  for (const tag of [locale ?? '', ...asked]) {
    const found = served.find((language) => language === tag.toLowerCase().split(/[-_]/)[0]);
    if (found !== undefined) return found;
  }
  return fallback;
}
