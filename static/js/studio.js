// All behaviour of the studio's pages that is not htmx. Each page works without it.
// Listeners sit on the document, so that fragments which htmx brings in need no set-up. It runs before
// the first paint, so that a chosen theme does not flash.
"use strict";

/* ---- The chosen theme; without scripts the system's shows ---- */

document.documentElement.dataset.js = "";
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // storage may be forbidden; the system's theme it is
}

/* ---- What all parts below use ---- */

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const on = (event, selector, handle) =>
  document.addEventListener(event, (e) => {
    const found = e.target instanceof Element && e.target.closest(selector);
    if (found) handle(found, e);
  });
// what a fragment needs once it is there, and the page at its start
const ready = [];
const prepare = (root) => ready.forEach((run) => run(root));

/* ---- Notices: notice("text"), notice("text", {bad: true}); from the server as the event "notice" ---- */

function notice(text, { bad = false } = {}) {
  const toast = document.createElement("div");
  toast.className = bad ? "toast bad" : "toast";
  const words = document.createElement("span");
  words.className = "grow";
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain tiny";
  close.textContent = "Close";
  close.onclick = () => toast.remove();
  toast.append(words, close);
  document.getElementById("toasts").replaceChildren(toast);
  if (!bad) setTimeout(() => toast.remove(), 4000);
}
document.addEventListener("notice", (e) => notice(e.detail.text));

/* ---- When htmx gets no answer, or a bad one ---- */

const WHY = {
  0: "The studio does not answer. Check that it runs and that you are online, then try again.",
  403: "Not allowed. Your role does not include this, or the page is too old: reload it.",
  404: "This is gone, or it was removed meanwhile. Reload the page.",
  429: "Too many requests. Wait a minute, then try again.",
  503: "The database does not answer right now. Nothing was changed; try again in a moment.",
};
const failed = (status) => notice(WHY[status] || `Something went wrong (${status}). Try again, or reload the page.`, { bad: true });
document.addEventListener("htmx:responseError", (e) => failed(e.detail.xhr.status));
for (const event of ["htmx:sendError", "htmx:timeout"]) document.addEventListener(event, () => failed(0));

/* ---- Who waits is told: after 200 ms a thin bar stands at the top, what will be replaced is dim, and the button says
        so, by [data-wait="Saving…"] in its own words ---- */

const SOON = 200;
const LEFT_BY_THEN = 10_000;
const waitedFor = new Set();
function signs(part, button, words) {
  const marked = [part, button].filter((one) => one && one !== document.body);
  const written = button?.textContent.trim() && button.matches("button, .button") ? [...button.childNodes] : null;
  return {
    show() {
      waitedFor.add(this);
      for (const one of marked) one.setAttribute("aria-busy", "true");
      if (written) button.replaceChildren(button.dataset.wait || words);
      document.documentElement.dataset.waiting = "";
    },
    end() {
      if (!waitedFor.delete(this)) return;
      for (const one of marked) one.removeAttribute("aria-busy");
      if (written) button.replaceChildren(...written);
      if (!waitedFor.size) delete document.documentElement.dataset.waiting;
    },
  };
}
function wait(part, button, words) {
  const wanted = signs(part, button, words);
  const timer = setTimeout(() => wanted.show(), SOON);
  return () => {
    clearTimeout(timer);
    wanted.end();
  };
}
document.addEventListener("htmx:beforeSend", ({ detail: { elt, target, xhr, requestConfig: how } }) => {
  const button = how.triggeringEvent?.submitter || (elt.matches("a, button") ? elt : null);
  const reads = how.verb === "get";
  // the request's own event: those of htmx do not reach the document from a page that was left meanwhile
  xhr.addEventListener("loadend", wait(reads ? target : null, button, reads ? "Loading…" : "Working…"));
});
document.addEventListener("submit", (e) => {
  if (e.defaultPrevented) return;
  const end = wait(null, e.submitter, "Working…");
  // the page is still there if its reader stopped the browser
  setTimeout(end, LEFT_BY_THEN);
  addEventListener("pagehide", end, { once: true });
});

/* ---- Theme: [data-theme-set=light|dark|system] ---- */

function showTheme() {
  const theme = document.documentElement.dataset.theme || "system";
  for (const button of all("[data-theme-set]")) button.setAttribute("aria-pressed", String(button.dataset.themeSet === theme));
}
on("click", "[data-theme-set]", (button) => {
  const theme = button.dataset.themeSet;
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // forbidden storage: the choice holds for this page
  }
  showTheme();
});
ready.push(showTheme);

/* ---- Announce: the text of [data-announce] that htmx brings in is read out by screen readers ---- */

const said = document.createElement("div");
said.className = "unseen";
said.setAttribute("role", "status");
document.addEventListener("htmx:load", ({ detail: { elt } }) => {
  const words = elt !== document.body && elt.querySelector("[data-announce]");
  if (words) said.textContent = words.textContent;
});

/* ---- Copy: [data-copy="text"], [data-copy-from="element id"], or [data-copy-id="an id as URLs have it"],
        which keeps what HTML would change, such as a carriage return ---- */

const decodeId = (id) =>
  id.startsWith("~")
    ? new TextDecoder().decode(Uint8Array.from(atob(id.slice(1).replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0)))
    : id;

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // no clipboard outside https and localhost: the old way
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") || document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("copy refused");
  }
}
on("click", "[data-copy], [data-copy-from], [data-copy-id]", async (button) => {
  const { copyFrom: from, copyId: id } = button.dataset;
  try {
    await copy(from ? document.getElementById(from).textContent : id === undefined ? button.dataset.copy : decodeId(id));
    notice("Copied.");
  } catch {
    notice("The browser did not allow copying. Select the text and copy it by hand.", { bad: true });
  }
  button.focus();
});

/* ---- Keys: "/" focuses the search; Escape closes an open menu ---- */

document.addEventListener("keydown", (e) => {
  if (e.key === "Escape") {
    const menu = document.querySelector("details[data-menu][open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  const typing = e.target.closest("input, textarea, select, [contenteditable]");
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || typing || document.querySelector("dialog[open]")) return;
  const field = all("[data-slash], input[type=search]").find((input) => input.checkVisibility());
  if (field) {
    e.preventDefault();
    field.focus();
    field.select();
  }
});
document.addEventListener("click", (e) => {
  for (const menu of all("details[data-menu][open]")) if (!menu.contains(e.target)) menu.open = false;
});

/* ---- Dialogs: [data-close] and the backdrop close one. A <dialog data-open> that htmx brings in opens by
        itself, in place of one that is open, and leaves when it is closed. <a data-dialog> brings one in; a list has
        fifty, too many for htmx. ---- */

const isPlainClick = (e) => !(e.defaultPrevented || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey);
on("click", "a[data-dialog]", (link, e) => {
  if (!window.htmx || !isPlainClick(e)) return;
  e.preventDefault();
  const how = { source: link, target: "body", swap: "beforeend", select: "unset", push: "false" };
  // what failed is said as a notice
  htmx.ajax("GET", link.href, how).catch(() => {});
});

on("click", "dialog [data-close]", (button, e) => {
  e.preventDefault();
  button.closest("dialog").close();
});
on("mousedown", "dialog", (dialog, e) => {
  if (e.target !== dialog) return;
  const box = dialog.getBoundingClientRect();
  const inside = e.clientX >= box.left && e.clientX <= box.right && e.clientY >= box.top && e.clientY <= box.bottom;
  if (!inside) dialog.close();
});
ready.push((root) => {
  for (const dialog of all("dialog[data-open]", root)) {
    if (dialog.matches(":modal")) continue;
    for (const other of all("dialog[data-open]:modal")) other.close();
    dialog.showModal();
    dialog.addEventListener("close", () => dialog.remove());
  }
});

/* ---- A form with [data-close-after] closes its dialog once it has been answered well ---- */

document.addEventListener("htmx:afterRequest", (e) => {
  const form = e.detail.elt;
  if (!e.detail.successful || !form.matches?.("[data-close-after]")) return;
  form.closest("dialog")?.close();
  document.getElementById("main").focus({ preventScroll: true });
  document.getElementById("messages").scrollIntoView({ block: "nearest" });
});

/* ---- Type to confirm: <input data-match="text"> enables its form's submit button ---- */

function match(input) {
  const right = input.value.trim() === input.dataset.match;
  for (const button of all("button:not([type=button]):not([data-close])", input.form)) button.disabled = !right;
}
on("input", "[data-match]", match);
ready.push((root) => all("[data-match]", root).forEach(match));

/* ---- Lists with a selection. <form data-select data-total="312"> holds
        tbody input[type=checkbox]        one a row; shift-click picks a stretch
        [data-select-page]                a checkbox for all rows of the page
        [data-select-bar]                 shown while something is picked
        [data-select-count]               "2 threads selected"; data-one, data-many: the words; data-all: when all match
        [data-select-matching]            button: all that match the filter; sets input[name=all] to 1
        [data-select-none]                button: nothing ---- */

const boxes = (form) => all("tbody input[type=checkbox]", form);
function showSelection(form) {
  const rows = boxes(form);
  const picked = rows.filter((box) => box.checked).length;
  const matching = form.querySelector("input[name=all]");
  if (matching && matching.value === "1" && picked < rows.length) matching.value = "";
  const whole = matching?.value === "1";
  const total = whole ? Number(form.dataset.total) : picked;
  for (const page of all("[data-select-page]", form)) {
    page.checked = rows.length > 0 && picked === rows.length;
    page.indeterminate = picked > 0 && picked < rows.length;
  }
  for (const bar of all("[data-select-bar]", form)) bar.hidden = picked === 0;
  for (const words of all("[data-select-count]", form))
    words.textContent =
      whole && words.dataset.all
        ? words.dataset.all
        : `${whole ? "All " : ""}${total.toLocaleString("en")} ${total === 1 ? words.dataset.one : words.dataset.many} selected`;
  for (const button of all("[data-select-matching]", form))
    button.hidden = whole || picked < rows.length || Number(form.dataset.total) <= rows.length;
}
let lastBox = null;
on("click", "form[data-select] tbody input[type=checkbox]", (box, e) => {
  const rows = boxes(box.closest("form"));
  const [from, to] = [rows.indexOf(lastBox), rows.indexOf(box)].sort((a, b) => a - b);
  if (e.shiftKey && from >= 0) for (const row of rows.slice(from, to + 1)) row.checked = box.checked;
  lastBox = box;
});
on("change", "form[data-select] input[type=checkbox]", (box) => {
  const form = box.closest("form");
  if (box.matches("[data-select-page]")) for (const row of boxes(form)) row.checked = box.checked;
  showSelection(form);
});
on("click", "[data-select-matching]", (button) => {
  const form = button.closest("form");
  form.querySelector("input[name=all]").value = "1";
  showSelection(form);
});
on("click", "[data-select-none]", (button) => {
  const form = button.closest("form");
  for (const box of boxes(form)) box.checked = false;
  showSelection(form);
  form.querySelector("[data-select-page]")?.focus();
});
ready.push((root) => {
  const around = root.closest?.("form[data-select]");
  for (const form of new Set([...all("form[data-select]", root), ...(around ? [around] : [])])) showSelection(form);
});

/* ---- Numbers: .stepper [data-step="-1"|"1"] beside an input with min and max, or data-min and data-max;
        the arrow keys step too; [data-preset="10"] with data-for="input id" sets it ---- */

function setNumber(input, value) {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  input.dispatchEvent(new Event("change", { bubbles: true }));
}
function step(input, by) {
  const [least, most] = [Number(input.dataset.min || input.min || 0), Number(input.dataset.max || input.max || 1e9)];
  const now = Number.parseInt(input.value, 10);
  setNumber(input, Math.min(most, Math.max(least, (Number.isNaN(now) ? least : now) + by)));
}
on("click", ".stepper [data-step]", (button) => step(button.parentElement.querySelector("input"), Number(button.dataset.step)));
on("keydown", ".stepper input", (input, e) => {
  if (e.key !== "ArrowUp" && e.key !== "ArrowDown") return;
  e.preventDefault();
  step(input, e.key === "ArrowUp" ? 1 : -1);
});
function showPresets(input) {
  for (const button of all(`[data-preset][data-for="${CSS.escape(input.id)}"]`))
    button.setAttribute("aria-pressed", String(button.dataset.preset === input.value.trim()));
}
on("click", "[data-preset]", (button) => setNumber(document.getElementById(button.dataset.for), button.dataset.preset));
on("input", "input[id]", showPresets);
ready.push((root) => {
  for (const button of all("[data-preset]", root)) showPresets(document.getElementById(button.dataset.for));
});

/* ---- Unsaved changes: <form data-unsaved> with a [data-unsaved-bar], in it [data-changes] for the list.
        Fields that count have data-label; the saved value is the field's own default, or data-saved.
        A disabled field is not sent and so changes nothing. data-zero is the word for 0. The server marks a
        bar without changes data-clean. <a data-discard="here"> puts the saved values back without a request,
        data-discard="" leaves the page for its address without asking. ---- */

const shown = (field, value) => {
  if (field.type === "checkbox") return value ? "on" : "off";
  return value === "0" && field.dataset.zero ? field.dataset.zero : value;
};
const saved = (field) => {
  if ("saved" in field.dataset) return field.type === "checkbox" ? field.dataset.saved === "on" : field.dataset.saved;
  return field.type === "checkbox" ? field.defaultChecked : field.defaultValue;
};
const value = (field) => (field.type === "checkbox" ? field.checked : field.value);
const changed = (form) => all("[data-label]:enabled", form).filter((field) => value(field) !== saved(field));
function showChanges(form) {
  const fields = changed(form);
  for (const bar of all("[data-unsaved-bar]", form)) {
    bar.hidden = fields.length === 0;
    bar.removeAttribute("data-clean");
  }
  for (const list of all("[data-changes]", form))
    list.replaceChildren(
      ...fields.map((field) => {
        const item = document.createElement("span");
        const diff = Object.assign(document.createElement("span"), { className: "diff" });
        const [before, after] = ["del", "ins"].map((name) => document.createElement(name));
        before.textContent = shown(field, saved(field));
        after.textContent = shown(field, value(field)) || "empty";
        diff.append(before, " → ", after);
        item.append(` · ${field.dataset.label} `, diff);
        return item;
      }),
    );
}
on("input", "form[data-unsaved]", showChanges);
on("change", "form[data-unsaved]", showChanges);
document.addEventListener("reset", (e) => {
  const form = e.target;
  if (form.matches("form[data-unsaved]"))
    setTimeout(() => {
      showChanges(form);
      for (const field of all("input[id]", form)) showPresets(field);
    });
});
document.addEventListener("submit", (e) => {
  if (e.target.matches("form[data-unsaved]")) e.target.dataset.sent = "";
});
// what could not be sent is unsaved still
for (const event of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  document.addEventListener(event, (e) => delete e.detail.elt?.dataset?.sent);
on("click", "form[data-unsaved] [data-discard]", (link, e) => {
  const form = link.closest("form");
  if (link.dataset.discard !== "here") {
    form.dataset.sent = "";
    return;
  }
  e.preventDefault();
  // also what was typed before the switch above it went off
  const fields = all("[data-label]", form).filter((field) => value(field) !== saved(field));
  for (const field of fields) {
    if (field.type === "checkbox") field.checked = saved(field);
    else field.value = saved(field);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }
  fields[0]?.focus();
});

// a form beside it whose answer takes the place of what was typed
document.addEventListener("htmx:confirm", (e) => {
  if (!e.target.matches("[data-replaces-typed]") || !unsaved()) return;
  e.preventDefault();
  if (confirm("Your unsaved changes will be lost. Go on?")) e.detail.issueRequest(true);
});

/* ---- Dependants: <input type=checkbox data-enables="id id"> enables fieldsets while it is on ---- */

function enable(box) {
  for (const id of box.dataset.enables.split(" ")) document.getElementById(id).disabled = !box.checked;
}
on("input", "input[data-enables]", (box) => {
  enable(box);
  showChanges(box.form);
});
// a browser may have kept the box as it was before a reload
ready.push((root) => all("input[data-enables]:enabled", root).forEach(enable));

/* ---- A number out of its range, or none, is refused while it is typed: [data-wrong="why"], [data-instead="why not 0"]
        with data-min and data-max; the reason stands in the list "input id-error" ---- */

const isWithin = (input, number) => number >= Number(input.dataset.min) && number <= Number(input.dataset.max);
const numberOf = (input) => (/^\s*\d{1,18}\s*$/.test(input.value) ? Number(input.value) : NaN);
function judge(input) {
  const number = numberOf(input);
  const why = !isWithin(input, number) && ((number === 0 && input.dataset.instead) || input.dataset.wrong);
  const list = document.getElementById(`${input.id}-error`);
  const reason = Object.assign(document.createElement("li"), { textContent: why });
  list.replaceChildren(...(why ? [reason] : []));
  list.hidden = !why;
  if (why) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
}
on("input", "[data-wrong]", judge);
// before htmx
document.addEventListener(
  "submit",
  (e) => {
    const refused = e.target.querySelector("[data-wrong][aria-invalid]:enabled");
    if (!refused) return;
    e.preventDefault();
    e.stopPropagation();
    refused.focus();
  },
  true,
);

/* ---- Shares that follow a number, data-of="input id": of the ascending numbers data-share="1,2,2,5", how many are not
        above it. What cannot be saved changes nothing. ---- */

function follow(input) {
  const number = numberOf(input);
  if (!isWithin(input, number)) return;
  for (const words of all(`[data-of="${CSS.escape(input.id)}"]`)) {
    const shares = words.dataset.share.split(",").map(Number);
    words.textContent = `${Math.floor((100 * shares.filter((one) => one <= number).length) / shares.length)}\u00a0%`;
  }
}
on("input", "input[data-wrong]", follow);
ready.push((root) => all("[data-of]", root).forEach((words) => follow(document.getElementById(words.dataset.of))));
const unsaved = () => all("form[data-unsaved]:not([data-sent])").some((form) => changed(form).length);
addEventListener("beforeunload", (e) => {
  if (unsaved()) e.preventDefault();
});
ready.push((root) => all("form[data-unsaved]", root).forEach(showChanges));

/* ---- The id of a new agent: [data-agent-id] says in [data-agent-id-live] what the typed id will be ---- */

function explainId(input) {
  const id = input.value.trim();
  const wrong =
    (/[A-Z]/.test(id) && "Use lower-case letters only.") ||
    (/[^a-z0-9_-]/.test(id) && "Only letters a to z, digits, - and _ may be used.") ||
    (id.length > 58 && `${id.length} characters are too many: 58 at most.`) ||
    (/^[-_]|[-_]$/.test(id) && "The first and the last must be a letter or digit.");
  const live = input.form.querySelector("[data-agent-id-live]");
  live.textContent = id && (wrong || `Its database schema will be ag_${id.replaceAll("-", "_")}.`);
  live.classList.toggle("field-error", Boolean(id && wrong));
}
on("input", "[data-agent-id]", explainId);
ready.push((root) => all("[data-agent-id]", root).forEach(explainId));

/* ---- Tabs that do not fit are scrolled to the one that is open ---- */

ready.push((root) => {
  for (const tab of all(".tabs > [aria-current]", root)) {
    const tabs = tab.parentElement;
    tabs.scrollLeft = tab.offsetLeft + tab.offsetWidth - tabs.offsetLeft - tabs.clientWidth;
  }
});

/* ---- A form that htmx brings in with [data-submit-now] is sent at once, as a whole page ---- */

ready.push((root) => all("form[data-submit-now]", root).forEach((form) => HTMLFormElement.prototype.submit.call(form)));

document.addEventListener("htmx:afterSwap", (e) => prepare(e.detail.target?.isConnected ? e.detail.target : document));
document.addEventListener("DOMContentLoaded", () => {
  document.body.append(said);
  // in a long list of agents, the one of this page
  document.querySelector("#side-agents [aria-current=true]")?.scrollIntoView({ block: "nearest" });
  prepare(document);
});

/* ---- Print: a message that is cut on the screen, [data-whole=address], is whole on paper ---- */

addEventListener("beforeprint", () => {
  for (const text of all("[data-whole]")) {
    const request = new XMLHttpRequest();
    // printing waits for nothing, so this does
    request.open("GET", text.dataset.whole, false);
    request.setRequestHeader("HX-Request", "true");
    try {
      request.send();
    } catch {
      return; // what is printed says that it is cut
    }
    const found = new DOMParser().parseFromString(request.responseText, "text/html").querySelector(".text > div");
    if (request.status !== 200 || !found) continue;
    delete text.dataset.whole;
    found.classList.add("on-paper");
    text.append(found);
  }
});
