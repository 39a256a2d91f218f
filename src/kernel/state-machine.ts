/**
 * A total transition table: every state names what every event does, so a forgotten cell is a compile error.
 * `null` means the event is refused in that state.
 */
export type Transitions<State extends string, Event extends string> = {
  readonly [S in State]: { readonly [E in Event]: State | null };
};

export interface StateMachine<State extends string, Event extends string> {
  readonly initial: State;
  readonly transitions: Transitions<State, Event>;
  next(state: State, event: Event): State | null;
}

export function stateMachine<State extends string, Event extends string>(
  initial: State,
  transitions: Transitions<State, Event>,
): StateMachine<State, Event> {
  return { initial, transitions, next: (state, event) => transitions[state][event] };
}
