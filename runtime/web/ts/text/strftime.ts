// The date as chat templates ask for it, in UTC as the native runtime gives it.

const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/** The last second of the year 9999. */
const MAX_SECONDS = 253_402_300_799;

/** Python's `strftime` in UTC, for the directives that stand in chat templates; others stay as they are. */
export function strftime(format: string, unixSeconds: number): string {
  const date = new Date(Math.min(Math.max(Math.floor(unixSeconds), 0), MAX_SECONDS) * 1000);
  const two = (n: number): string => String(n).padStart(2, "0");
  const month = MONTHS[date.getUTCMonth()] ?? "";
  const day = DAYS[date.getUTCDay()] ?? "";
  const [year, monthOfYear, dayOfMonth] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()];
  const [hour, minute, second] = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two);
  const values: Record<string, string> = {
    Y: String(year),
    y: two(year % 100),
    m: two(monthOfYear),
    d: two(dayOfMonth),
    B: month,
    b: month.slice(0, 3),
    A: day,
    a: day.slice(0, 3),
    H: `${hour}`,
    M: `${minute}`,
    S: `${second}`,
    F: `${year}-${two(monthOfYear)}-${two(dayOfMonth)}`,
    T: `${hour}:${minute}:${second}`,
    "%": "%",
  };
  return format.replace(/%(.)/gsu, (all, directive: string) => values[directive] ?? all);
}
