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

/** Whether somebody has begun to fill a form in. */
let filled = false;
addEventListener("input", () => { filled = true; });

function reload() {
  if (filled) {
    // Not over what somebody has typed or chosen.
    document.getElementById("elsewhere").hidden = false;
    return;
  }
  location.reload();
}

function signIn() {
  const here = location.pathname + location.search;
  location.replace("/login?next=" + encodeURIComponent(here));
}

/** A stream that comes back by itself, also after an answer that was no stream. */
function listen(address, kinds) {
  const events = new EventSource(address);
  for (const [kind, heard] of Object.entries(kinds)) {
    events.addEventListener(kind, (event) => heard(JSON.parse(event.data), events));
  }
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) {
      setTimeout(() => listen(address, kinds), 5_000);
    }
  });
  addEventListener("pagehide", () => events.close());
}

/** What happens to the session. Each browser has one stream: its tabs tell each other. */
function followSession() {
  const made = document.body.dataset;
  let chosen = made.chosen;
  const heard = {
    state(state) {
      const platform = state.platform_id ?? "";
      if (!state.signed_in || state.user_id !== made.user) {
        signIn();
      } else if (platform !== chosen) {
        chosen = platform;
        reload();
      }
    },
    // This id is dead: signed out, or signed in anew in another tab.
    async ended() {
      const answer = await fetch("/api/session/state").catch(() => null);
      if (answer?.ok && !(await answer.json()).signed_in) {
        signIn();
      } else {
        reload();
      }
    },
  };
  const tabs = new BroadcastChannel("session");
  tabs.addEventListener("message", (event) => heard[event.data.kind](event.data.said));
  const tell = (kind) => (said, events) => {
    if (kind === "ended") {
      events.close();
      setTimeout(follow, 5_000);
    }
    tabs.postMessage({ kind, said });
    heard[kind](said);
  };
  const follow = () => listen("/api/session/events", { state: tell("state"), ended: tell("ended") });
  if (navigator.locks) {
    // Held until this page is gone; then the next tab follows.
    navigator.locks.request("session", () => { follow(); return new Promise(() => {}); });
  } else {
    follow();
  }
}

/** Says now and then that somebody is here, if somebody is. */
function heartbeat() {
  let active = false;
  for (const kind of ["keydown", "pointerdown", "scroll"]) {
    addEventListener(kind, () => { active = true; }, { passive: true });
  }
  const token = document.querySelector("meta[name=csrf-token]");
  const beat = () => fetch("/api/session/heartbeat", { method: "POST", headers: { "x-csrf-token": token.content } });
  setInterval(async () => {
    if (!active) {
      return;
    }
    active = false;
    try {
      if ((await beat()).status === 403) {
        // A token lives for an hour; a page has another one, for its forms as well.
        const page = new DOMParser().parseFromString(await (await fetch("/settings")).text(), "text/html");
        token.content = page.querySelector("meta[name=csrf-token]").content;
        for (const field of document.querySelectorAll("input[name=csrf_token]")) {
          field.value = token.content;
        }
        await beat();
      }
    } catch {
      // The next one will tell.
    }
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
  const list = document.getElementById("results");
  listen("/api/caption_tasks/" + section.dataset.task + "/events", {
    task(task, events) {
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
    },
  });
}

function answers(store) {
  if (!store) {
    return "not used";
  }
  return store.answers ? "answers" : "does not answer";
}

function followOutage() {
  listen("/outage/events", {
    status({ process, report }) {
      show("process", process);
      show("serving", report.serving);
      show("redis", answers(report.redis));
      show("cause", report.redis?.last_cause ?? "-");
      show("database", answers(report.database));
      show("trusted", report.copies?.trusted ? "trusted" : "not trusted");
      show("generation", report.copies?.generation ?? "-");
      show("journal", report.copies?.pending ?? 0);
      show("fallbacks", report.counts.store_down + " and " + report.counts.store_up);
    },
  });
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
