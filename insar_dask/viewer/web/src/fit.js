// What the stored coefficients of a point say of its series.

export const DAY = 86400;
export const iso = (day) => new Date(day * DAY * 1000).toISOString().slice(0, 10);

// The engine's model: velocity and an annual signal, in years of 365 days since the first date. The level is not stored:
// it is that of least squares given the stored slope and season, so that the residuals of the valid dates sum to zero.
export function fitOf(motion, days, values, at) {
  const { velocity, seasonality, phase } = motion;
  if (![velocity, seasonality, phase].every(Number.isFinite)) return null;
  const first = new Date(days[0] * DAY * 1000);
  const firstDay = Math.round((first - Date.UTC(first.getUTCFullYear(), 0, 1)) / 1000 / DAY) + 1;
  const peak = (phase - firstDay) / 365;
  const model = (day) => {
    const years = (day - days[0]) / 365;
    return velocity * years + seasonality * Math.cos(2 * Math.PI * (years - peak));
  };
  let sum = 0;
  let n = 0;
  values.forEach((value, i) => {
    if (Number.isNaN(value)) return;
    sum += value - model(days[i]);
    n += 1;
  });
  return n ? at.map((day) => model(day) + sum / n) : null;
}
