// The alarms of a product beside its map: rings about their points, and a list of them.
import { remember } from "./address.js";
import { judged, rule } from "./alarms.js";
import { chooseAlarm } from "./choice.js";
import { complete, refilter } from "./cloud.js";
import { $, counted, h, said } from "./dom.js";
import { guarded, page } from "./page.js";

const line = (one, i) => `${i + 1}  ${counted(one.n_points)} ${one.n_points === 1 ? "point" : "points"}  ${said(one.departure, 1)} mm${one.since ? `  since ${one.since}` : ""}`;

// the block beside the map; nothing of a product that goes on with no other
export function buildAlarms() {
  const { about, map } = page;
  const { alarms } = about;
  const some = judged(about) && alarms.n_alarmed > 0;
  $("alarmblock").hidden = !alarms;
  map.alarmsShown = $("showalarms").checked = some;
  $("alarmtext").textContent = !alarms ? "" : judged(about) ? rule(alarms) : `None: ${alarms.absent}.`;
  for (const name of ["showalarms", "alarmlist", "onlyalarms"]) $(name).disabled = !some;
  $("alarmlist").hidden = $("onlyalarms").parentElement.hidden = !some;
  $("onlyalarms").checked = Boolean(page.filters.alarm);
  if (!some) return;
  const rest = alarms.n_listed - alarms.listed.length;
  const more = rest > 0 ? [h("option", { value: "", disabled: true }, `${counted(rest)} more have rings on the map`)] : [];
  $("alarmlist").replaceChildren(h("option", { value: "" }, "choose one"), ...alarms.listed.map((one, i) => h("option", { value: String(i) }, line(one, i))), ...more);
}

// once; the products change, the controls stay
export function connectAlarms() {
  $("showalarms").onchange = guarded(async () => {
    page.map.alarmsShown = $("showalarms").checked;
    await Promise.all(page.map.chunks.map((chunk) => complete(chunk)));
    page.map.soon();
  });
  $("onlyalarms").onchange = guarded(async () => {
    if ($("onlyalarms").checked) page.filters.alarm = new Set([1]);
    else delete page.filters.alarm;
    await refilter();
    remember();
  });
  $("alarmlist").onchange = () => $("alarmlist").value !== "" && chooseAlarm(page.about.alarms.listed[Number($("alarmlist").value)]);
}
