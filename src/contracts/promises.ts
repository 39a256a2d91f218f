/** A promise that anybody can check; `command` is a sub-command of `clerestory verify`. */
export interface Promised {
  readonly id: string;
  readonly title: string;
  /** In plain words, for residents. */
  readonly text: string;
  /** What follows `npx clerestory verify `; null where there is no command. */
  readonly command: string | null;
  /** Not promised until it is built. */
  readonly later?: true;
  /** What the command cannot show. */
  readonly limit: string;
  /** Page of this server where it can be seen. */
  readonly page?: string;
}

/** In the order of the page /trust. Numbers of properties: the city's trust specification. */
export const PROMISES: readonly Promised[] = [
  {
    id: 'log',
    title: 'The record of who looked cannot be rewritten unnoticed',
    text: 'Every look at a resident’s data is an entry in a log that can only grow. Whoever keeps a copy can show that an entry was changed, moved or taken out.',
    command: 'log https://THIS-SERVER',
    limit: 'It shows that what was written was not changed, not that everything was written.',
    page: '/trust/log',
  },
  {
    id: 'witness',
    title: 'Everybody sees the same record',
    text: 'People outside the city hall sign each state of the log. Without enough of them the city cannot show a second, different record to anybody.',
    command: 'witness https://THIS-SERVER --policy POLICY',
    limit: 'It rests on witnesses who do not act together with the city. You get the policy from them, not from us.',
    page: '/trust/log',
  },
  {
    id: 'access',
    title: 'Residents see every look at their report',
    text: 'When, which department, in which role, for which purpose and for what reason: on the page of the report within seconds, with a proof that can be kept.',
    command: 'access FILE',
    limit: 'Not that the reason was true; not the name of the person, which the data protection officer can be asked for.',
  },
  {
    id: 'gate',
    title: 'Data about persons is refused at the door',
    text: 'Faces, number plates, addresses of telephones, names and ways of single people are refused before anything is stored. Try it with what you like.',
    command: 'gate FILE',
    limit: 'Names in free text are not always noticed; therefore sensors may send no text.',
    page: '/trust/gate',
  },
  {
    id: 'purpose',
    title: 'No purpose, no data',
    text: 'Every stream, rule and service names a purpose in the public register. When the purpose ends, the stream stops and its data are deleted. Two people change the register.',
    command: 'purpose https://THIS-SERVER',
    limit: 'Not that the purpose is a good one: that is for you and your council to judge.',
    page: '/trust/purposes',
  },
  {
    id: 'policy',
    title: 'Who may do what is written down',
    text: 'The rules are published as they run. What no rule allows is refused, and dangerous acts need two people.',
    command: null,
    limit: 'The decisions are kept for auditors; residents read the rules.',
    page: '/trust/policy',
  },
  {
    id: 'erase',
    title: 'Deleted means unreadable',
    text: 'Each report has a key of its own. When it is deleted the key is destroyed, and every copy becomes unreadable when the stated window of key backups has passed.',
    command: 'erase RECEIPT',
    limit: 'Not before the window of key backups has passed; not what somebody wrote down while it could be read.',
  },
  {
    id: 'egress',
    title: 'Nothing leaves the building that is not listed',
    text: 'No telemetry, no maker’s account, no foreign address in any page. A city lists each host that may be called; the list is empty when it starts.',
    command: 'egress',
    limit: 'It shows it for this installation and the time it was watched.',
  },
  {
    id: 'build',
    title: 'Few parts, all named',
    text: 'Every package that runs here is listed with its version, licence and hash. None may run a script when it is installed.',
    command: 'build',
    limit: 'Not that a listed package does what it says.',
  },
  { id: 'restore', title: 'It comes back after an attack, and says what was lost', text: 'A drill that restores the city on a bare machine.', command: null, later: true, limit: '' },
  { id: 'counts', title: 'Small counts cannot be undone', text: 'Counts of people are rounded at the door. An attack that tries to undo it is kept for later.', command: null, later: true, limit: '' },
];
