// What makes pages live: other tabs follow a sign-out and a switch of platform at once, a task shows how
// far it is, an outage what is left. Every page works without this file.
"use strict";

/** The text of an element, if it is on this page. */
function show(id, text) {
  const element = document.getElementById(id);
  if (element && element.textContent !== String(text)) {
    element.textContent = text;
  }
}

function reload() {
  if (document.querySelector("input[type=file]")?.files.length) {
    // Not over somebody's chosen pictures.
    document.getElementById("platform")?.classList.add("changed");
    return;
  }
  location.reload();
}

function signIn() {
  const here = location.pathname + location.search;
  location.replace("/login?next=" + encodeURIComponent(here));
}

/** The session, as it is now; each event has the whole state. */
function followSession() {
  const events = new EventSource("/api/session/events");
  const made = document.body.dataset;
  let chosen;
  events.addEventListener("state", (event) => {
    const state = JSON.parse(event.data);
    if (!state.signed_in || state.user_id !== made.user) {
      events.close();
      signIn();
      return;
    }
    const platform = state.platform_id ?? "";
    // The first one is how the page was made.
    if (chosen !== undefined && platform !== chosen && platform !== made.platform) {
      reload();
    }
    chosen = platform;
  });
  // This id is dead: signed out, or signed in anew in another tab.
  events.addEventListener("ended", async () => {
    events.close();
    const answer = await fetch("/api/session/state").catch(() => null);
    if (answer?.ok && !(await answer.json()).signed_in) {
      signIn();
    } else {
      setTimeout(followSession, 2_000);
    }
  });
  addEventListener("pagehide", () => events.close());
}

/** Says now and then that somebody is here, if somebody is. */
function heartbeat() {
  let active = false;
  for (const kind of ["keydown", "pointerdown", "scroll"]) {
    addEventListener(kind, () => { active = true; }, { passive: true });
  }
  setInterval(() => {
    if (!active) {
      return;
    }
    active = false;
    const token = document.querySelector("meta[name=csrf-token]").content;
    fetch("/api/session/heartbeat", { method: "POST", headers: { "x-csrf-token": token } }).catch(() => {});
  }, 60_000);
}

function resultItem(result) {
  const item = document.createElement("li");
  item.className = "card";
  const name = document.createElement("h3");
  name.textContent = result.file_name;
  const text = document.createElement("p");
  text.textContent = result.caption ?? result.problem;
  if (!result.caption) {
    text.className = "problem";
  }
  item.append(name, text);
  return item;
}

/** A task under way. At its end the page is loaded once more, with pictures and texts to copy. */
function followTask(section) {
  const events = new EventSource("/api/caption_tasks/" + section.dataset.task + "/events");
  const list = document.getElementById("results");
  events.addEventListener("task", (event) => {
    const task = JSON.parse(event.data);
    document.getElementById("progress").value = task.progress_percent;
    show("status", task.status);
    show("step", task.current_step);
    for (const result of task.results.slice(list.children.length)) {
      list.append(resultItem(result));
    }
    if (task.status !== "queued" && task.status !== "running") {
      events.close();
      location.reload();
    }
  });
  addEventListener("pagehide", () => events.close());
}

function answers(store) {
  if (!store) {
    return "not used";
  }
  return store.answers ? "answers" : "does not answer";
}

function followOutage() {
  const events = new EventSource("/outage/events");
  events.addEventListener("status", (event) => {
    const { process, report } = JSON.parse(event.data);
    show("process", process);
    show("serving", report.serving);
    show("redis", answers(report.redis));
    show("cause", report.redis?.last_cause ?? "-");
    show("database", answers(report.database));
    show("believed", report.copies?.believed ? "believed" : "not believed");
    show("generation", report.copies?.generation ?? "-");
    show("journal", report.copies?.journal ?? 0);
    show("fallbacks", report.counts.fallback_in + " and " + report.counts.fallback_out);
  });
  addEventListener("pagehide", () => events.close());
}

// A page that comes back from the browser's memory may be somebody's who has signed out.
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});

if (document.body.hasAttribute("data-signed-in")) {
  followSession();
  heartbeat();
}
const task = document.querySelector("[data-task]");
if (task) {
  followTask(task);
}
if (document.querySelector("[data-outage]")) {
  followOutage();
}
