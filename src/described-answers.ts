import { z } from 'zod';
import { ApprovalList } from './contracts/approval.ts';
import { City } from './contracts/common.ts';
import { Device, DeviceList } from './contracts/device.ts';
import { LatestReadings } from './contracts/history.ts';
import { IncidentDetail, IncidentPage, Playbooks, Queue } from './contracts/incident.ts';
import { Feeds, Places, Readings } from './contracts/place.ts';
import { PolicyDecisions, PolicyText, PolicyVersions } from './contracts/policy.ts';
import { AccountFactors, Invitation, Person, Session, SessionSummary, SignInMethods, StepUpWays } from './contracts/session.ts';
import { GateCounts, LogStatus, PurposeDesk, PurposeDetail, PurposeRegister, PurposeUse, RegisterVersions } from './contracts/trust.ts';
import { Rules, Warnings } from './contracts/warning.ts';

/**
 * What addresses answer whose routes do not say so themselves, for /api/openapi.json. The handlers return these types; the answers
 * are not read again by a schema, and test/system/openapi.test.ts compares them.
 */
export const ANSWERS: Readonly<Record<string, z.ZodType>> = {
  '/api/city': City,
  '/api/session': Session,
  '/api/sessions': z.array(SessionSummary),
  '/api/session/step-up': StepUpWays,
  '/api/account': AccountFactors,
  '/api/people/:id/sessions': z.array(SessionSummary),
  '/api/sign-in': SignInMethods,
  '/api/invitations/:code': Invitation,
  '/api/people': z.array(Person),
  '/api/purposes': PurposeRegister,
  '/api/purposes/versions': RegisterVersions,
  '/api/purposes/use': PurposeUse,
  '/api/purposes/desk': PurposeDesk,
  '/api/purposes/:id': PurposeDetail,
  '/api/gate': GateCounts,
  '/api/policy': PolicyText,
  '/api/policy/versions': PolicyVersions,
  '/api/policy/decisions': PolicyDecisions,
  '/api/approvals': ApprovalList,
  '/api/log': LogStatus,
  '/api/devices': DeviceList,
  '/api/devices/:id': Device,
  '/api/places': Places,
  '/api/feeds': Feeds,
  '/api/latest': LatestReadings,
  '/api/datastreams/:id/readings': Readings,
  '/api/queue': Queue,
  '/api/incidents': IncidentPage,
  '/api/incidents/:id': IncidentDetail,
  '/api/playbooks': Playbooks,
  '/api/rules': Rules,
  '/api/warnings': Warnings,
};
