/**
 * The one table of refusals. A refusal is an expected answer to bad input or a forbidden act: it is returned as a value,
 * carries a code from here, and names the field and the cure. docs/reference/errors.md is generated from it.
 */
const row = (status: number, title: string, cure: string) => ({ status, title, cure });

export const REFUSALS = {
  // Protocol edge
  'http.malformed': row(400, 'The body cannot be parsed', 'Send well-formed content of the declared type.'),
  'http.invalid': row(400, 'A field has a wrong value', 'Correct the field that is named.'),
  'http.unknown-field': row(400, 'A field is not known here', 'Remove the field or check its spelling.'),
  'http.too-large': row(413, 'The body is too large', 'Send smaller batches: 1 MiB a body, 16 MiB for CreateObservations.'),
  'http.too-deep': row(400, 'The body is nested too deeply', 'Flatten the body; the limit is named.'),
  'http.unsupported-type': row(415, 'The content type is not accepted here', 'Use a content type that is named.'),
  'http.not-found': row(404, 'There is nothing at this address', 'Check the path and the id.'),
  'http.method-not-allowed': row(405, 'This method is not allowed here', 'Use a method that the Allow header names.'),
  'http.not-implemented': row(501, 'This part of the standard is not built', 'Use what docs/reference lists as supported.'),
  'http.too-many-requests': row(429, 'Too many requests', 'Wait as long as Retry-After says.'),
  'http.overloaded': row(503, 'The server takes no more for now', 'Send again after the seconds in Retry-After; nothing was stored.'),
  'http.database-away': row(503, 'The database does not answer or has no room', 'Send again after the seconds in Retry-After; look first whether it was done after all.'),
  'http.conflict': row(409, 'Somebody changed this in the meantime', 'Read the present state and decide again.'),
  // Identity and policy
  'auth.required': row(401, 'Sign-in or a token is needed', 'Sign in, or send a bearer token made with `clerestory token`.'),
  'auth.invalid': row(401, 'The credential is not valid', 'Sign in again or make a new token.'),
  'auth.forbidden': row(403, 'Your position does not allow this', 'Ask a person whose position allows it.'),
  'auth.link-spent': row(410, 'This link was used or has expired', 'Ask for a new link.'),
  'auth.cross-site': row(403, 'The request came from another site', 'Open the page on this server and try again.'),
  'auth.name-taken': row(409, 'Somebody has this name already', 'Choose another name, such as one with a middle initial.'),
  'auth.passphrase-weak': row(400, 'This passphrase is easy to guess', 'Take four words that do not belong together, or one that a password manager makes.'),
  'auth.last-administrator': row(409, 'This is the last administrator', 'Invite another administrator first.'),
  'auth.passkey-not-here': row(400, 'Passkeys cannot be used at this address', 'Open the page under a domain name over https, or as http://localhost, or use a password.'),
  'auth.second-factor-needed': row(403, 'A second factor must be set up first', 'Set up one-time codes or a passkey on the page /account; the city can start with second_factor: optional.'),
  'auth.code-wrong': row(401, 'The code is not right', 'Type the code that the app shows now; check that the clock of the phone is right.'),
  'auth.factor-present': row(409, 'This way to sign in is set up already', 'Remove it on the page /account first.'),
  'auth.factor-unknown': row(404, 'There is no such way to sign in', 'Look at the page /account.'),
  'auth.last-factor': row(409, 'Nobody could sign in to the account any more', 'Set up another way to sign in first.'),
  'auth.step-up-needed': row(403, 'This act asks for a fresh proof of who you are', 'Prove it again with a passkey, a code or the passphrase, then repeat the act.'),
  'auth.service-failed': row(401, 'The sign-in service did not vouch for you', 'Begin again from the sign-in page; if it stays, ask who runs the service.'),
  'auth.service-away': row(424, 'The sign-in service did not answer', 'Use a passkey or a passphrase, or try again later.'),
  'auth.service-off': row(404, 'No sign-in service is set up', 'Set oidc_issuer in the configuration.'),
  'auth.logout-token-wrong': row(400, 'The logout token is not right', 'Send the token that the sign-in service has just made for this client, once.'),
  'auth.resident-needed': row(401, 'Nobody is signed in to the list of reports', 'Sign in on the page /my, or use the link of the report.'),
  'auth.no-account': row(403, 'Your account of the sign-in service has no account here', 'Ask an administrator for an invitation, and accept it with the sign-in service.'),
  // Two people
  'approval.needed': row(403, 'Two people must agree to this', 'Propose it; a second person approves it on the page /approvals.'),
  'approval.same-person': row(403, 'The second person must be another one', 'Ask a colleague whose position allows it to approve it.'),
  'approval.person-gone': row(403, 'One of the two people may not do this any more', 'Propose it again.'),
  'approval.expired': row(403, 'The approval has expired', 'Propose it again.'),
  'approval.spent': row(403, 'The approval was used or decided already', 'Propose it again; an approval counts once.'),
  'approval.different': row(403, 'The approval was given for something else', 'Do exactly what was approved, or propose it again.'),
  'approval.not-found': row(404, 'There is no such proposal', 'Look at the page /approvals.'),
  // Purposes and gate
  'purpose.missing': row(400, 'No purpose is named', 'Name one in properties.purpose or use a token made with --purpose.'),
  'purpose.unknown': row(400, 'The purpose is not in the register', 'Use an id of the purpose register.'),
  'purpose.expired': row(403, 'The purpose has ended or not begun', 'Look at its dates in the register; two people can renew it there.'),
  'purpose.change-invalid': row(400, 'The change of the register is not valid', 'Correct the entry at the place that is named.'),
  'purpose.register-changed': row(409, 'The register was changed in the meantime', 'Propose it again on the register as it is now.'),
  'gate.stream-unregistered': row(403, 'No registered datastream takes this reading', 'Create the Datastream with a purpose first.'),
  'gate.field-unregistered': row(403, 'The reading carries a field that is not registered', 'Send only result, phenomenonTime, resultTime, resultQuality, validTime and registered parameters.'),
  'gate.not-a-number': row(403, 'The datastream takes numbers only', 'Send a finite JSON number as result.'),
  'gate.not-registered-type': row(403, 'The result is of a type that is not registered', 'Register an observationType that allows it, or send the registered one.'),
  'gate.out-of-bounds': row(403, 'The result is outside the registered bounds', 'Check the unit and the bounds of the datastream.'),
  'gate.window-too-short': row(403, 'The count covers too short a time', 'Count for at least the minutes that are named, and send the interval as phenomenonTime.'),
  'gate.quarantined': row(403, 'The datastream is in quarantine', 'Send aggregates instead of identifiers, then have it released on the page /devices.'),
  'gate.not-quarantined': row(404, 'The datastream is not in quarantine', 'Look at GET /api/gate/quarantine.'),
  'gate.person-data': row(403, 'The reading looks like data about persons', 'Clerestory does not take it; send aggregates about places.'),
  // Sensing
  'sensing.query-invalid': row(400, 'The query option is not valid', 'Correct the option at the place that is named.'),
  'sensing.no-such-entity': row(404, 'The entity does not exist', 'Check the id.'),
  'sensing.no-such-property': row(404, 'The property does not exist', 'Check the name.'),
  'sensing.entity-invalid': row(400, 'The entity is not valid', 'Correct the property that is named.'),
  'sensing.time-invalid': row(400, 'The time is not valid', 'Use ISO 8601 with a zone, such as 2026-11-24T06:00:00Z.'),
  'sensing.time-in-future': row(400, 'The time lies too far ahead', 'Set the clock of the device; at most 24 h ahead is taken.'),
  // Batches
  'batch.malformed': row(400, 'The batch cannot be read', 'Correct the batch at the place that is named.'),
  'batch.address-outside': row(400, 'A request of the batch leaves this API', 'Use addresses relative to the root of the API, such as Things.'),
  'batch.reference-unknown': row(400, 'A reference of the batch leads nowhere', 'Refer to the id of an earlier request that creates an entity.'),
  'batch.dependency-failed': row(424, 'A request that this one depends on failed', 'Correct the request that failed and send the batch again.'),
  'history.day-not-sealed': row(404, 'The day is not sealed', 'Use a day that GET /api/history/days lists.'),
  // Documents of feeds and imports
  'feed.document-invalid': row(400, 'The document of the source cannot be read', 'Check the document at the place that is named against its standard.'),
  'feed.document-too-large': row(413, 'The document of the source exceeds a limit', 'Ask the source for a smaller one; the limit is named.'),
  'feed.value-invalid': row(400, 'A value of the source is not valid', 'Tell the source; the place in its document is named.'),
  'feed.reference-unknown': row(400, 'The source refers to something that it has not described', 'Check that its documents belong together.'),
  'feed.single-vehicles': row(403, 'The source describes single vehicles', 'Clerestory keeps stations, stops, lines and roads, never the way of a vehicle.'),
  'feed.plate-reading': row(403, 'The source recognises vehicles', 'Use counts, speeds or occupancy of loops; state the measuring equipment.'),
  'feed.not-public': row(403, 'The source does not release this to the public', 'Use a publication without restriction.'),
  'feed.not-found': row(404, 'The feed does not exist', 'Look at the list of feeds.'),
  'feed.config-invalid': row(409, 'The feed is not set up rightly', 'Correct city/feeds.yaml at the place that is named and start again.'),
  'feed.egress-blocked': row(403, 'This address may not be called from here', 'Add its host to egress in city/feeds.yaml, with private: true when it lies in a private network, and start again.'),
  'feed.source-away': row(424, 'The source did not answer', 'Check that the source is reachable from this server; it is asked again by itself.'),
  'feed.source-answer': row(424, 'The source gave another answer than the standard asks for', 'Open the address yourself, and correct it or tell the source.'),
  'feed.sender-unknown': row(403, 'The sender is not listed in this feed', 'Add the device to the options of the feed in city/feeds.yaml.'),
  'feed.codec-failed': row(400, 'The codec did not decode the message', 'Correct the codec in city/codecs, or the device that sends.'),
  'feed.type-unregistered': row(403, 'Nothing of this type of entity is registered', 'Send models of places and measurements, or declare what you need under options.attributes.'),
  'feed.person-data': row(403, 'The source describes persons or what belongs to them', 'Clerestory does not take it; send aggregates about places.'),
  'import.column-missing': row(400, 'A column of the mapping is not in the file', 'Correct the name in the mapping, or the separator and the header row.'),
  'import.row-invalid': row(400, 'A row does not have the shape of the file', 'Correct the row that is named.'),
  'import.value-invalid': row(400, 'A cell is not a value of its column', 'Correct it, or list the word under missing in the mapping.'),
  'import.time-invalid': row(400, 'A time does not have the format of the mapping', 'Correct time.format in the mapping.'),
  'import.time-missing': row(400, 'The clock change left this time out', 'Set time.missing to shift, or correct the row.'),
  'import.time-ambiguous': row(400, 'The clock change gave this time twice', 'Set time.ambiguous to first, second or by-order.'),
  'device.not-found': row(404, 'The device does not exist', 'Look at the list of devices.'),
  'device.stream-not-own': row(403, 'The device may not use this datastream', 'Use the datastreams that are listed for the device.'),
  'device.quarantined': row(403, 'The device is in quarantine', 'Correct what it sends, then have it released on the page /devices.'),
  'device.name-different': row(403, 'The user name is not that of the token\'s device', 'Send the id of the device as user name and its token as password.'),
  'device.act-not-allowed': row(409, 'The device is in a state that does not allow this', 'Look at its present state.'),
  // Brain
  'rule.invalid': row(400, 'The rule is not valid', 'Correct the rule at the place that is named.'),
  // Operations
  'incident.not-found': row(404, 'The incident does not exist', 'Check the number.'),
  'incident.act-not-allowed': row(409, 'The incident is in a state that does not allow this', 'Look at its present state.'),
  'incident.outcome-missing': row(400, 'An incident closes only with an outcome and a sentence', 'Choose an outcome and say in a sentence what was done.'),
  'incident.step-unknown': row(404, 'The playbook has no such step', 'Use a step id of this incident.'),
  // Services
  'request.service-unknown': row(404, 'The service does not exist', 'Use a service_code from the services list.'),
  'request.field-missing': row(400, 'A required field is missing', 'Send the field that is named.'),
  'request.field-invalid': row(400, 'A field has a wrong value', 'Correct the field that is named.'),
  'request.not-found': row(404, 'The request does not exist or is not public', 'Check the number, or use the secret link.'),
  'request.api-key-invalid': row(403, 'The api_key is missing or not valid', 'Ask the city for an api_key.'),
  'request.jurisdiction-unknown': row(404, 'The jurisdiction is not served here', 'Leave jurisdiction_id out.'),
  'request.outcome-missing': row(400, 'A request closes only with an outcome and a sentence', 'Choose an outcome and say in a sentence what was done.'),
  'request.act-not-allowed': row(409, 'The request is in a state that does not allow this', 'Look at its present state.'),
  'request.media-refused': row(400, 'Photos and files are not taken', 'Send the report without a file.'),
  'request.place-unknown': row(400, 'The place was not found', 'Send lat and long, or a street of this city with its number.'),
  // Trust
  'look.reason-missing': row(400, 'Looking at a resident\'s data needs a purpose and a reason', 'State both; the resident will see them.'),
  'log.policy-invalid': row(500, 'The policy of witnesses is not valid', 'Correct the line that is named; docs/reference/witness.md shows one.'),
  'witness.state-damaged': row(500, 'The state of the witness cannot be trusted', 'Restore the whole folder of the witness; or take a new, empty one, and tell the city the new key.'),
  'witness.name-different': row(500, 'The witness has another name', 'Leave --name out, or take a new, empty folder for another witness.'),
  'look.log-unavailable': row(503, 'The transparency log cannot take the entry', 'Nothing was shown; see the server\'s status.'),
  'key.broker-away': row(503, 'The key broker does not answer', 'Nothing was sealed or shown; send it again in a few seconds.'),
  'key.held': row(409, 'A legal hold keeps this case', 'Have the hold lifted first.'),
  'look.opened': row(409, 'The resident knows of this look already', 'There is nothing left to extend.'),
  'key.gone': row(410, 'The key of this case was destroyed', 'The data cannot be read by anybody any more.'),
  // Start
  'start.config-invalid': row(500, 'The configuration is not valid', 'Correct the key that is named.'),
  'start.port-taken': row(500, 'The port is taken', 'Stop the other program or choose another port.'),
  'start.already-running': row(500, 'This data folder is in use', 'Stop the other instance or set CLERESTORY_DATA.'),
  'start.log-rolled-back': row(500, 'The transparency log is not the one that was signed last', 'Restore the log folder and the database from one and the same backup; if they are lost, `clerestory log restart` begins a new log that says so.'),
  'start.key-different': row(500, 'A key file does not belong to this database', 'Restore the key folder that belongs to it from the key backup.'),
  'start.key-locked': row(500, 'The root key cannot be opened', 'Give the passphrase, or module, label and PIN of the token, with which the key was kept.'),
  'start.broker-failed': row(500, 'The key broker did not start', 'See what it printed; start `clerestory broker` first when CLERESTORY_BROKER is set.'),
  'start.disk-full': row(500, 'The disk is full', 'Free some space and start again; no acknowledged data was lost.'),
} as const;

export type RefusalCode = keyof typeof REFUSALS;

export interface Refusal {
  readonly code: RefusalCode;
  /** What exactly is wrong, in one sentence; never the refused content itself. */
  readonly detail: string;
  /** The field, option or path that is at fault. */
  readonly field?: string;
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly refusal: Refusal };

export const ok = <T>(value: T): Result<T> => ({ ok: true, value });

export function refuse(code: RefusalCode, detail: string, field?: string): { readonly ok: false; readonly refusal: Refusal } {
  return { ok: false, refusal: field === undefined ? { code, detail } : { code, detail, field } };
}

/** Carries refusals through a protocol's edge to its error shape; the domain returns values instead. */
export class Refused extends Error {
  readonly refusals: readonly [Refusal, ...Refusal[]];
  constructor(...refusals: [Refusal, ...Refusal[]]) {
    super(`${refusals[0].code}: ${refusals[0].detail}`);
    this.name = 'Refused';
    this.refusals = refusals;
  }
}

/** At a route: takes the value or throws `Refused`. */
export function unwrap<T>(result: Result<T>): T {
  if (!result.ok) throw new Refused(result.refusal);
  return result.value;
}

export function statusOf(refusal: Refusal): number {
  return REFUSALS[refusal.code].status;
}
