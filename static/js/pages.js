// Moving between pages: htmx puts a page's `main` in place of the one before, and the rest of the page stays.
// Each page works without it. It uses functions of studio.js.
"use strict";

const root = document.documentElement;
const main = () => document.getElementById("main");
const agentOf = (path) => /^\/agents\/[^/]+\//.exec(path)?.[0];

/* ---- A link of the frame is followed here, and not by hx-boost, whose work on each link of a list costs more
        than the rest of a page. The browser does what is another's, and what differs beyond `main`: it asks about
        unsaved changes, scrolls to the place that an address names, and shows an agent that the sidebar does not. ---- */

const isInSidebar = (agent) => all("#side-agents a").some((link) => link.pathname.startsWith(agent));
function isOfTheBrowser(link, e) {
  // who leaves a page with a secret leaves nothing of it
  if ("whole" in main().dataset) return true;
  if (!window.htmx || !isPlainClick(e) || link.origin !== location.origin) return true;
  if (link.target || link.matches("[download], [hx-get], [hx-disable] *")) return true;
  const agent = agentOf(link.pathname);
  return Boolean(link.hash || unsaved() || (agent && !isInSidebar(agent)));
}
let asked = null;
on("click", ".frame a[href]", (link, e) => {
  if (isOfTheBrowser(link, e)) return;
  e.preventDefault();
  const address = link.href;
  // by the first of two clicks
  if (asked === address) return;
  asked = address;
  // htmx needs an element that stays until the answer, and a list with the link in it may be read anew before that
  const source = document.body.appendChild(document.createElement("i"));
  source.hidden = true;
  const push = String(address !== location.href);
  const how = { source, target: "#main", swap: "outerHTML", select: "unset", push };
  htmx
    .ajax("GET", address, { ...how, headers: { "HX-Boosted": "true" } })
    // what failed is said as a notice
    .catch(() => {})
    .finally(() => {
      source.remove();
      if (asked === address) asked = null;
    });
});
const isMove = (detail) => detail.requestConfig?.headers["HX-Boosted"] === "true";

/* ---- Of several requests of a kind the last one counts: an answer to an earlier one changes nothing. The kinds are a
        move to another page, a change of the list that is there, and a question in a dialog. Who moves on or goes back
        wants nothing else any more. ---- */

let latest = {};
function kindOf(detail) {
  if (isMove(detail)) return "move";
  if (detail.elt.matches("[data-dialog], form[data-select]")) return "question";
  return detail.elt.closest("[hx-push-url=true]") && "change";
}
// an answer for what was left; its events do not reach the document
const onlyWhileHere = (e) => {
  if (!e.currentTarget.isConnected) e.preventDefault();
};
const questions = () => all("dialog[data-open]:modal");
document.addEventListener("htmx:beforeRequest", (e) => {
  const kind = kindOf(e.detail);
  // the second click on what is open by now
  if (kind === "question" && questions().length) return e.preventDefault();
  if (kind === "question") e.detail.elt.addEventListener("htmx:beforeOnLoad", onlyWhileHere);
  if (kind === "move") latest = {};
  if (kind) latest[kind] = e.detail.xhr;
});
function isOutdated({ detail }) {
  const kind = kindOf(detail);
  return kind && latest[kind] !== detail.xhr;
}
document.addEventListener("htmx:beforeOnLoad", (e) => isOutdated(e) && e.preventDefault());
// nobody waits for what failed then
for (const event of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  document.addEventListener(event, (e) => isOutdated(e) && e.stopImmediatePropagation(), true);
function leaveAll() {
  latest = {};
  asked = null;
  for (const question of questions()) question.close();
}
addEventListener("popstate", leaveAll);

/* ---- The fields of a list say what it shows: the sort order as soon as another is asked for, the search where nobody
        types ---- */

document.addEventListener("htmx:configRequest", ({ detail: { path } }) => {
  const sort = new URL(path, location).searchParams.get("sort");
  for (const field of all("select[name=sort][form]")) field.value = sort || field.value;
});
function showSearch() {
  const field = document.querySelector("#filters [name=q]");
  if (field && field !== document.activeElement) field.value = new URLSearchParams(location.search).get("q") || "";
}
document.addEventListener("htmx:pushedIntoHistory", showSearch);

/* ---- Pages that were left stay in the tab's memory for Back, and nowhere else, if the server says how to ask
        whether they may be shown again: `main` with data-still-allowed ---- */

const MOST = 20;
const left = new Map();
let place = window.navigation?.currentEntry?.key;
window.navigation?.addEventListener("currententrychange", ({ navigationType }) => {
  if (navigationType !== "traverse") place = navigation.currentEntry.key;
});

// a page's age in milliseconds by the server's clock, null if it may not be shown again
async function ageIfAllowed({ dataset }) {
  try {
    const answer = dataset.stillAllowed ? await fetch(dataset.stillAllowed, { cache: "no-store" }) : null;
    return answer?.status === 204 ? Date.parse(answer.headers.get("Date")) - 1000 * dataset.madeAt : null;
  } catch {
    return null;
  }
}
function leave() {
  leaveAll();
  const page = main();
  const focus = document.activeElement;
  // what is removed with the focus in it makes the browser lay out the old and the new page together
  if (page.contains(focus)) focus.blur();
  page.addEventListener("htmx:beforeOnLoad", onlyWhileHere);
  if (!place || !page.dataset.stillAllowed) return;
  document.getElementById("messages").replaceChildren();
  left.set(place, { page, title: document.title, scroll: scrollY, focus });
  if (left.size > MOST) left.delete(left.keys().next().value);
}
// lists of a while ago are read anew; what was deleted here is not even kept
const FRESH = 60_000;
function refresh(age) {
  if (age > FRESH) document.body.dispatchEvent(new Event("shown-again"));
}
document.addEventListener("threads-deleted", () => left.clear());
function arrive(scroll, focus) {
  for (const menu of all("details[data-menu][open]")) menu.open = false;
  scrollTo(0, scroll);
  focus.focus({ preventScroll: true });
  said.textContent = document.title;
}

document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!isMove(detail)) return;
  // errors are pages, too; what is not marked as a page of ours is left to the browser
  detail.isError = false;
  detail.shouldSwap = detail.xhr.getResponseHeader("HX-Retarget") === "#main";
  if (detail.shouldSwap) leave();
  else location.assign(detail.xhr.responseURL);
});
let rights;
document.addEventListener("htmx:afterSettle", ({ target, detail }) => {
  if (!isMove(detail) || target !== main()) return;
  arrive(0, target.querySelector("[autofocus]") || target);
  const now = target.dataset.stillAllowed;
  // with other rights the sidebar is another, too
  if (now && rights && now !== rights) location.reload();
  rights = now || rights;
});
ready.push(() => (rights ||= main().dataset.stillAllowed));
// before htmx, which would load the whole page
addEventListener("popstate", async (e) => {
  const key = window.navigation?.currentEntry?.key;
  const kept = left.get(key);
  if (!kept || kept.page === main()) return (place = key);
  e.stopImmediatePropagation();
  const age = await ageIfAllowed(kept.page);
  if (age === null) return location.reload();
  if (navigation.currentEntry.key !== key) return;
  leave();
  place = key;
  main().replaceWith(kept.page);
  document.title = kept.title;
  htmx.process(kept.page);
  prepare(document);
  arrive(kept.scroll, kept.page.contains(kept.focus) ? kept.focus : kept.page);
  showSearch();
  refresh(age);
});

/* ---- A page that the browser has kept is hidden until the server has said that it may be shown again ---- */

const hide = () => root.setAttribute("data-unsure", "");
const show = () => root.removeAttribute("data-unsure");
async function showIfAllowed() {
  const age = await ageIfAllowed(main());
  if (age === null) return location.reload();
  show();
  refresh(age);
}
addEventListener("pagehide", hide);
addEventListener("pageshow", ({ persisted }) => persisted && showIfAllowed());
// the browser's cache is not asked about when one goes back, either
if (performance.getEntriesByType("navigation")[0]?.type === "back_forward") {
  hide();
  document.addEventListener("DOMContentLoaded", () => (main().dataset.stillAllowed ? showIfAllowed() : show()));
}

/* ---- The sidebar's link to this page, or to the agent that it is about ---- */

function markHere() {
  const here = location.pathname;
  for (const link of all(".side nav a")) {
    const agent = agentOf(link.pathname);
    const isAbove = link.pathname !== "/agents/" && here.startsWith(agent || link.pathname);
    link.removeAttribute("aria-current");
    if (here === link.pathname && !agent) link.setAttribute("aria-current", "page");
    else if (isAbove) link.setAttribute("aria-current", "true");
  }
}
ready.push(markHere);
