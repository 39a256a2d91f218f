/** A moment on the city's calendar: its day, and the night it belongs to, named after the evening; null by day. */
export type DayOf = (at: Date) => { readonly day: string; readonly night: string | null };

const NIGHT_FROM_HOUR = 22;
const NIGHT_TO_HOUR = 6;
const HOUR_MS = 3_600_000;

/** Days in the time zone of the city (IANA name), from 0 to 24 o'clock. */
export function newDayCounter(timeZone: string): DayOf {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', hourCycle: 'h23' });
  const read = (at: Date): { day: string; hour: number } => {
    const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return { day: `${parts['year']}-${parts['month']}-${parts['day']}`, hour: Number(parts['hour']) };
  };
  return (at) => {
    const { day, hour } = read(at);
    if (hour >= NIGHT_FROM_HOUR) return { day, night: day };
    return { day, night: hour < NIGHT_TO_HOUR ? read(new Date(at.getTime() - (hour + 2) * HOUR_MS)).day : null };
  };
}
