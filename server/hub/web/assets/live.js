// Keeps the page current without losing the reader's place: fetches the same page, and puts in the
// sections that have changed. What was open stays open, what had the focus keeps it; a section in
// which text is selected waits for the next round.
"use strict";

const PERIOD_MS = 4000;
const liveness = document.getElementById("live");

const REACHABLE = "a, button, summary, [tabindex]";

function isSelected(section) {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && section.contains(selection.anchorNode);
}

// What an element is to the reader: where it leads, or else what it says.
function meaning(one) {
  const action = one.form && one.form.getAttribute("action");
  return one.getAttribute("href") || action || one.getAttribute("aria-label") || one.textContent;
}

function focused(section) {
  const one = document.activeElement;
  return one && one !== section && section.contains(one) ? meaning(one) : null;
}

function opened(section) {
  const entries = [...section.querySelectorAll("details[data-key]")];
  return new Map(entries.map((one) => [one.dataset.key, one.open]));
}

function put(section, fresh) {
  const before = opened(section);
  const focus = focused(section);
  const scrolled = [...section.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  section.innerHTML = fresh.innerHTML;
  for (const one of section.querySelectorAll("details[data-key]")) {
    if (before.has(one.dataset.key)) one.open = before.get(one.dataset.key);
  }
  section.querySelectorAll(".scroll").forEach((one, index) => {
    one.scrollLeft = scrolled[index] || 0;
  });
  if (focus === null) return;
  const again = [...section.querySelectorAll(REACHABLE)].find((one) => meaning(one) === focus);
  if (again) again.focus({ preventScroll: true });
}

const shown = new Map();

async function refresh() {
  const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
  if (answer.redirected) return location.reload(); // the session has ended: sign in again
  if (!answer.ok) throw new Error("the hub answered " + answer.status);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const section of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(section.id);
    if (!fresh || fresh.innerHTML === shown.get(section.id) || isSelected(section)) continue;
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
