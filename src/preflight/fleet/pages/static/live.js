// Keeps an open page up to date: it asks for itself again when the server says that there is something new, and changes
// only what differs, so that focus, selection and scroll stay. Without this script the pages are complete.
"use strict";

(() => {
  const holder = document.getElementById("live");
  const root = document.getElementById("page");
  if (!root) return;
  keys();
  if (!holder || !window.EventSource) return;
  const button = holder.querySelector("button");
  const said = holder.querySelector("[role=status]");
  let source = null;
  let wanted = "0";
  let busy = false;
  let again = false;

  holder.hidden = false;
  button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    on ? open() : close();
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => event.persisted && open());
  open();

  function open() {
    if (source || document.hidden || button.getAttribute("aria-pressed") !== "true") return;
    let first = !source && wanted !== "0";
    source = new EventSource("/live");
    source.addEventListener("hello", (event) => {
      holder.dataset.state = "on";
      wanted = event.data;
      if (first) refresh();  // the page was away for a while
      first = true;
    });
    source.addEventListener("change", (event) => {
      wanted = event.data;
      refresh();
    });
    source.onerror = () => {
      holder.dataset.state = "off";
      if (source && source.readyState === EventSource.CLOSED) {  // refused: the browser itself tries no more
        close();
        setTimeout(open, 15000 + Math.random() * 15000);
      }
    };
  }

  function close() {
    if (source) source.close();
    source = null;
    holder.dataset.state = "off";
  }

  async function refresh() {
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { "Preflight-Live": wanted }, redirect: "manual" });
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        const its = fresh.getElementById("page");
        if (its && merge(root, its)) {
          document.title = fresh.title;
          said.textContent = "Updated " + new Date().toISOString().slice(11, 19);
          holder.dataset.updated = said.textContent;
        }
      }
    } catch {
      holder.dataset.state = "off";
    } finally {
      busy = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  }

  // Makes `old` look like `fresh`; returns whether anything differed. Forms are the reader's: they stay.
  function merge(old, fresh) {
    if (old.nodeName === "FORM") return false;
    let changed = attributes(old, fresh);
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    const known = new Map();
    for (const one of before) if (key(one)) known.set(key(one), one);
    const wanted = new Set(after.map(key));
    let place = old.firstChild;
    for (const one of after) {
      let its = key(one) ? known.get(key(one)) : null;
      if (!its && place && !key(place) && !key(one) && place.nodeName === one.nodeName) its = place;
      if (!its) {
        old.insertBefore(document.importNode(one, true), place);
        changed = true;
        continue;
      }
      while (its && place && its !== place && key(place) && !wanted.has(key(place))) {
        const next = place.nextSibling;
        place.remove();  // it has gone; what follows need not move, and keeps its focus
        changed = true;
        place = next;
      }
      if (its !== place) {
        old.insertBefore(its, place);
        changed = true;
      } else {
        place = place.nextSibling;
      }
      if (its.nodeType === Node.ELEMENT_NODE) {
        if (merge(its, one)) changed = true;
      } else if (its.nodeValue !== one.nodeValue) {
        its.nodeValue = one.nodeValue;
        changed = true;
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      changed = true;
      place = next;
    }
    return changed;
  }

  // What tells one child from its neighbours: its id, the name of a group, where a link leads.
  function key(node) {
    if (node.nodeType !== Node.ELEMENT_NODE) return "";
    if (node.id) return "#" + node.id;
    if (node.dataset.key) return "=" + node.dataset.key;
    if (node.nodeName === "A") return node.getAttribute("href");
    return "";
  }

  function attributes(old, fresh) {
    let changed = false;
    for (const { name, value } of [...fresh.attributes]) {
      if (old.getAttribute(name) !== value) {
        old.setAttribute(name, value);
        changed = true;
      }
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && name !== "open" && name !== "tabindex") {
        old.removeAttribute(name);
        changed = true;
      }
    }
    return changed;
  }

  // The map of nodes is one stop of the Tab key; arrows walk in it.
  function keys() {
    const cells = (map) => [...map.querySelectorAll("a.n")];
    for (const map of document.querySelectorAll(".map")) {
      cells(map).forEach((one, at) => (one.tabIndex = at ? -1 : 0));
    }
    document.addEventListener("keydown", (event) => {
      const here = event.target.closest && event.target.closest(".map a.n");
      if (!here || event.ctrlKey || event.metaKey || event.altKey) return;
      const all = cells(here.closest(".map"));
      const at = all.indexOf(here);
      const step = { ArrowRight: 1, ArrowLeft: -1, Home: -at, End: all.length - 1 - at }[event.key];
      let next = step === undefined ? null : all[at + step];
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        const down = event.key === "ArrowDown";
        const row = all.filter((one) => (down ? one.offsetTop > here.offsetTop : one.offsetTop < here.offsetTop));
        const edge = down ? row[0] : row[row.length - 1];
        const line = edge ? row.filter((one) => one.offsetTop === edge.offsetTop) : [];
        const gap = (one) => Math.abs(one.offsetLeft - here.offsetLeft);
        next = line.reduce((best, one) => (best && gap(best) <= gap(one) ? best : one), null);
      }
      if (!next) return;
      event.preventDefault();
      here.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }
})();
