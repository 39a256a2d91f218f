export { openHistory, type History } from './history.ts';
export { registerHistoryRoutes } from './routes.ts';
