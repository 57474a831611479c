// Alarms: points that have left the forecast that was stored before their last dates came.
import { counted, said } from "./dom.js";
import { iso } from "./fit.js";

export const judged = ({ alarms }) => Boolean(alarms) && !("absent" in alarms);

const share = (x) => (x < 0.0001 ? "less than 0.01\u00a0%" : `${said(100 * x, x < 0.001 ? 2 : x < 0.095 ? 1 : 0)}\u00a0%`);

// what was held against what, and what the stated rate promises
export function rule(alarms) {
  const { rate, control, lasting, days, n_judged: all, n_alarmed: raised, not_judged: beyond, seen } = alarms;
  const words = [
    `${counted(raised)} of ${counted(all)} points have left their forecast on each of their last ${lasting} of ${days.length} new dates, to one side.`,
    `Of such points at most ${share(rate)} are expected to be false${control === "by" ? ", however points depend on one another" : ""}.`,
  ];
  if (seen) words.push("More may be false: the series were inverted here, and their errors have seen later pairs.");
  if (beyond) words.push(`${counted(beyond)} later dates lie beyond the forecast and were not judged.`);
  return words.join(" ");
}

// label, unit, text, and what stands small beside it: of a chosen point
export function alarmRows(alarms, { alarm, departure, excess, q_value: q, lasting, since }) {
  if (alarm < 0) return [["Alarm", "", "not judged", ""]];
  const rows = [
    ["Alarm", "", alarm ? "yes" : "no", alarm ? ` ${share(alarms.rate)} may be false` : ""],
    ["Departure from the forecast", "mm", said(departure, 1), Number.isFinite(excess) ? ` ${said(Math.abs(excess), 1)} half intervals` : ""],
  ];
  if (Number.isFinite(q)) rows.push(["Alarm from a false share of", "", share(q), ""]);
  if (lasting > 0) rows.push(["Outside the interval since", "", iso(alarms.days[0] + Math.round(since)), ` ${lasting} ${lasting === 1 ? "date" : "dates"} in a row`]);
  return rows;
}

// what is saved of a chosen point: since is the day from which its values lie outside, null where none does
export function alarmWords(alarms, alarm) {
  if (!("since" in alarm)) return alarm;
  return { ...alarm, since: Number.isFinite(alarm.since) ? iso(alarms.days[0] + Math.round(alarm.since)) : null };
}
