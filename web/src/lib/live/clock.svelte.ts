/**
 * The server's clock as the screen knows it: corrected at every heartbeat, moved on by the machine's own monotone clock
 * in between, so that a terminal with a wrong date still shows right ages.
 */
class ServerClock {
  /** Milliseconds since 1970; ticks once a second while something shows it in a browser. */
  now = $state(Date.now());
  #offset_ms = 0;

  /** A heartbeat or a picture arrived with this instant on it. */
  correct(instant: string): void {
    const at = Date.parse(instant);
    if (Number.isNaN(at)) return;
    this.#offset_ms = at - Date.now();
    this.now = at;
  }

  /** Starts the tick; returns how to stop it. */
  run(): () => void {
    const timer = setInterval(() => (this.now = Date.now() + this.#offset_ms), 1_000);
    return () => clearInterval(timer);
  }
}

export const clock = new ServerClock();
