// Keeps the page current without losing the reader's place: fetches the same page, and puts in the
// sections that have changed. A section that has the focus or a selection waits for the next round.
"use strict";

const PERIOD_MS = 4000;
const liveness = document.getElementById("live");

function isBusy(section) {
  const selection = document.getSelection();
  const selected = selection && !selection.isCollapsed && section.contains(selection.anchorNode);
  return selected || section.contains(document.activeElement);
}

function opened(section) {
  const entries = [...section.querySelectorAll("details[data-key]")];
  return new Map(entries.map((one) => [one.dataset.key, one.open]));
}

function put(section, fresh) {
  const before = opened(section);
  const scrolled = [...section.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  section.innerHTML = fresh.innerHTML;
  for (const one of section.querySelectorAll("details[data-key]")) {
    if (before.has(one.dataset.key)) one.open = before.get(one.dataset.key);
  }
  section.querySelectorAll(".scroll").forEach((one, index) => {
    one.scrollLeft = scrolled[index] || 0;
  });
}

const shown = new Map();

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error("the hub answered " + answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const section of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(section.id);
    if (!fresh || fresh.innerHTML === shown.get(section.id) || isBusy(section)) continue;
    put(section, fresh);
    shown.set(section.id, fresh.innerHTML);
  }
  document.title = page.title;
}

async function live() {
  if (!document.hidden) {
    try {
      await refresh();
      liveness.textContent = "live";
      liveness.className = "on";
    } catch (error) {
      liveness.textContent = "the hub does not answer; shown as of before";
      liveness.className = "off";
    }
  }
  setTimeout(live, PERIOD_MS);
}

setTimeout(live, PERIOD_MS);
