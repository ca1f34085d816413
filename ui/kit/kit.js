// Fetches the parts of the page that follow their sources, and puts them in place (ui/kit/live.py).
// Lets buttons post.
// Shows a warning when the page's server no longer answers: without it, old figures would look
// like those of now. Also writes the number of alarms into the title of the tab.
() => {
  const SILENCE_MS = 10000;
  const note = document.createElement("div");
  note.className = "fr-lost-note";
  note.setAttribute("role", "alert");
  document.body.appendChild(note);
  // Not Date.now(): if a viewer's clock is set back, the note would come later by as much.
  let heard = performance.now();

  // Changes what differs and leaves the rest: scrolled tables stay where they are, and a screen
  // reader hears of a banner when its words change and not each second.
  const change = (old, fresh) => {
    if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
    if (old.nodeType === Node.ELEMENT_NODE && "own" in old.dataset) return; // the browser's
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    changeChildren(old, fresh);
  };
  const changeChildren = (old, fresh) => {
    const before = [...old.childNodes];
    const after = [...fresh.childNodes];
    after.forEach((node, at) => (at < before.length ? change(before[at], node) : old.appendChild(node)));
    before.slice(after.length).forEach((node) => node.remove());
  };

  const place = (name, parts) => {
    let complete = true;
    parts.forEach((html, part) => {
      const element = document.querySelector(`[data-live="${name}"][data-part="${part}"]`);
      if (!element) complete = false;
      if (html === null || !element) return;
      const fresh = document.createElement("template");
      fresh.innerHTML = html;
      changeChildren(element, fresh.content);
    });
    const banner = document.querySelector(".fr-banner");
    if (banner && document.title !== banner.dataset.title) document.title = banner.dataset.title;
    return complete;
  };

  // Contents by name: the seconds between two answers, and what the page has of each.
  const contents = new Map();
  const follow = async (name, content) => {
    clearTimeout(content.timer);
    if (content.asks) return;
    content.asks = true;
    let wait = content.every;
    try {
      if (!document.hidden) {
        const answer = await fetch(`live/${name}${location.search}`, {
          headers: { "Finkray-Seen": content.seen },
          signal: AbortSignal.timeout(SILENCE_MS),
        });
        if (answer.ok) {
          if (answer.status === 200) {
            const complete = place(name, await answer.json());
            content.seen = complete ? answer.headers.get("ETag").replaceAll('"', "") : "";
          }
          heard = performance.now();
        }
      }
    } catch {
      wait = Math.max(wait, 1000); // the note below tells of it
    }
    content.asks = false;
    content.timer = setTimeout(follow, wait, name, content);
  };

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    heard = performance.now(); // a hidden tab did not ask
    for (const [name, content] of contents) follow(name, content);
  });

  // The navigation is one line that scrolls on a phone: it begins where the viewer is.
  const scrollToCurrent = () => {
    const link = document.querySelector("nav [aria-current]");
    if (!link) return;
    const line = link.parentElement;
    line.scrollLeft = link.offsetLeft - line.offsetLeft - (line.clientWidth - link.offsetWidth) / 2;
  };
  const markCurrent = () => {
    const link = document.querySelector("nav a.active:not([aria-current])");
    if (!link) return;
    link.setAttribute("aria-current", "page");
    scrollToCurrent();
  };
  window.addEventListener("resize", scrollToCurrent);

  const look = () => {
    markCurrent();
    for (const { dataset } of document.querySelectorAll("[data-live]")) {
      if (contents.has(dataset.live)) continue;
      const content = { every: Number(dataset.every), seen: "" };
      contents.set(dataset.live, content);
      follow(dataset.live, content);
    }
  };
  // Gradio adds its components one after the other.
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true });
  look();

  // A button that posts: the answer takes the place of all buttons of its cell.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-post]");
    if (!button) return;
    const cell = button.parentElement;
    const said = (text) => {
      cell.textContent = text;
      cell.setAttribute("role", "status");
    };
    button.disabled = true;
    try {
      const answer = await fetch(button.dataset.post, { method: "POST" });
      const found = await answer.json();
      said(answer.ok ? found.text : `not saved: ${found.detail}`);
    } catch (error) {
      said(`not saved: ${error.message}`);
    }
  });

  setInterval(() => {
    const clock = document.querySelector(".fr-clock");
    if (clock) {
      clock.textContent = new Date().toISOString().slice(0, 19).replace("T", " ") + " UTC";
    }
    const patience = SILENCE_MS + Math.min(...[...contents.values()].map(({ every }) => every));
    const lost = !document.hidden && performance.now() - heard > patience;
    if (lost && !document.body.classList.contains("fr-lost")) {
      const silent = performance.now() - heard;
      const since = new Date(Date.now() - silent).toISOString().slice(0, 19).replace("T", " ");
      note.textContent = `This page's server has not answered since ${since} UTC: ` +
        "what is shown is old. Is it running? finkray start ui";
    }
    document.body.classList.toggle("fr-lost", lost);
  }, 500);
}
