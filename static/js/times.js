// Times of a page: written by the server in UTC, shown here in the browser's zone, or in UTC by choice.
// <time data-ago> grows older, <time data-minute> and <time data-day> stand still; the words are those of studio/formats.py.
"use strict";

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const HERE = Intl.DateTimeFormat().resolvedOptions().timeZone || "here";
let inUtc = false;
try {
  inUtc = localStorage.getItem("times") === "utc";
} catch {
  // storage may be forbidden; the browser's zone it is
}

/* ---- A time is moved by its distance from UTC, and then read as if it were UTC ---- */

const zoned = (at) => (inUtc ? at : new Date(at - at.getTimezoneOffset() * 6e4));
const dayOf = (at) => `${at.getUTCDate()} ${MONTHS[at.getUTCMonth()]} ${at.getUTCFullYear()}`;
// on paper nothing else says which zone it is
const zoneOf = (at) => {
  if (inUtc || !at.getTimezoneOffset()) return "UTC";
  return new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(at).find((part) => part.type === "timeZoneName").value;
};
const stampOf = (at) => at.toISOString().slice(0, 19).replace("T", " ");

function since(at, now) {
  const seconds = (now - at) / 1000;
  const [then, today] = [zoned(at), zoned(now)];
  const days = Math.floor(today / 864e5) - Math.floor(then / 864e5);
  if (seconds > -60 && seconds < 60) return "just now";
  if (seconds > 0 && seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds > 0 && seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  if (days === 1) return "yesterday";
  if (days > 1 && days < 7) return `${days} days ago`;
  return then.getUTCFullYear() === today.getUTCFullYear() ? dayOf(then).slice(0, -5) : dayOf(then);
}

function words(time, now) {
  const at = new Date(time.dateTime);
  if ("ago" in time.dataset) return since(at, now);
  if ("day" in time.dataset) return dayOf(zoned(at));
  return `${dayOf(zoned(at))}, ${stampOf(zoned(at)).slice(11, 16)} ${zoneOf(at)}`;
}

function showTimes(root) {
  const now = new Date();
  for (const time of all("time[data-ago], time[data-minute], time[data-day]", root)) {
    const text = words(time, now);
    // an equal text is left alone, so that a selection in it stays
    if (time.textContent !== text) time.textContent = text;
    const at = new Date(time.dateTime);
    const utc = `${stampOf(at)} UTC`;
    time.title = inUtc || !at.getTimezoneOffset() ? utc : `${stampOf(zoned(at))} ${HERE}\n${utc}`;
  }
}
ready.push(showTimes);
setInterval(showTimes, 30_000);

/* ---- The choice: [data-times-set=here|utc] ---- */

function showZone(root) {
  for (const button of all("[data-times-set]", root)) {
    button.setAttribute("aria-pressed", String((button.dataset.timesSet === "utc") === inUtc));
    if (button.dataset.timesSet === "here") button.title = HERE;
  }
}
ready.push(showZone);
on("click", "[data-times-set]", (button) => {
  inUtc = button.dataset.timesSet === "utc";
  try {
    localStorage.setItem("times", inUtc ? "utc" : "here");
  } catch {
    // forbidden storage: the choice holds for this page
  }
  showZone();
  showTimes();
});
