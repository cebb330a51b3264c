// Keeps the page fresh: a change of a machine fetches that machine's row, or
// the part of the page that shows it, and puts it in place of the old one.
"use strict";
(() => {
  const live = document.getElementById("live");
  const rows = () => document.querySelector("[data-rows]");
  const parts = [...document.querySelectorAll("[data-live]")].map((e) => ({ ...e.dataset }));
  const busy = new Map(); // what is being fetched -> whether to fetch it again

  const swap = (old, fresh) => {
    const focus = old.contains(document.activeElement) && document.activeElement.id;
    for (const d of old.querySelectorAll("details[id]")) {
      const n = fresh.querySelector("#" + CSS.escape(d.id));
      if (n) n.open = d.open;
    }
    old.replaceWith(fresh);
    if (focus) document.getElementById(focus)?.focus();
  };

  async function refresh(url, put) {
    if (busy.has(url)) return busy.set(url, true);
    busy.set(url, false);
    try {
      const r = await fetch(url);
      if (r.status === 401) return location.reload();
      if (r.ok || r.status === 404) put(r.ok ? await r.text() : null);
    } catch { /* the event stream tells when the server is back */ }
    const again = busy.get(url);
    busy.delete(url);
    if (again) refresh(url, put);
  }

  const row = (id) => refresh(`/ui/machines/${encodeURIComponent(id)}/row`, (html) => {
    const old = rows().querySelector(`[data-machine="${CSS.escape(id)}"]`);
    if (html === null) return old?.remove();
    const t = document.createElement("template");
    t.innerHTML = html;
    const fresh = t.content.firstElementChild;
    document.getElementById("none")?.remove();
    if (old) swap(old, fresh); else rows().append(fresh);
  });

  const section = (url) => refresh(url, (html) => {
    if (html === null) return;
    const old = document.querySelector(`[data-live="${CSS.escape(url)}"]`);
    const fresh = old.cloneNode(false);
    fresh.innerHTML = html;
    swap(old, fresh);
  });

  const change = (c) => {
    if (rows() && c.machine) row(c.machine);
    for (const p of parts) if (!c.machine || c.machine === p.machine) section(p.live);
  };

  // After a gap anything may have changed; forms are left as they are.
  const resync = () => refresh(location.pathname, (html) => {
    if (html === null) return location.reload();
    const page = new DOMParser().parseFromString(html, "text/html");
    for (const what of ["[data-rows]", ...parts.map((p) => `[data-live="${CSS.escape(p.live)}"]`)]) {
      const old = document.querySelector(what), fresh = page.querySelector(what);
      if (old && fresh) swap(old, document.importNode(fresh, true));
    }
    if (document.querySelector("[data-rows] tr")) document.getElementById("none")?.remove();
  });

  // A hidden tab gives its connection back: browsers have few for one server.
  let events = null, gap = false;
  const connect = () => {
    events?.close();
    events = null;
    if (document.hidden) return void (gap = true);
    events = new EventSource("/api/v1/events");
    events.onmessage = (e) => change(JSON.parse(e.data));
    events.onopen = () => { if (gap) resync(); gap = false; live.textContent = "live"; live.className = "on"; };
    events.onerror = () => {
      gap = true;
      live.textContent = "reconnecting";
      live.className = "off";
      if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
      resync(); // refused: perhaps logged out, which this finds out
      setTimeout(connect, 5000);
    };
  };
  if (rows() || parts.length) {
    connect();
    document.addEventListener("visibilitychange", connect);
  }

  setInterval(() => {
    for (const t of document.querySelectorAll("time[data-ago]")) {
      const s = Math.max(0, Math.floor((Date.now() - Date.parse(t.dateTime)) / 1000));
      t.textContent = (s < 60 ? `${s} s` : s < 3600 ? `${Math.floor(s / 60)} min` :
        s < 172800 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} days`) + " ago";
    }
  }, 5000);
})();
