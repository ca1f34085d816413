// Shows a warning when the page's server no longer answers: without it, old figures would look
// like those of now. Also writes the number of alarms into the title of the tab.
() => {
  const SILENCE_MS = 10000;
  const note = document.createElement("div");
  note.className = "fr-lost-note";
  note.setAttribute("role", "alert");
  document.body.appendChild(note);
  let tick = null;
  let heard = Date.now();
  // The timers of a hidden tab sleep: silence counts from the moment it becomes visible.
  document.addEventListener("visibilitychange", () => { heard = Date.now(); });
  setInterval(() => {
    // The header's clock: the server writes it every few seconds, the browser in between.
    const clock = document.querySelector(".fr-clock");
    if (clock) {
      clock.textContent = new Date().toISOString().slice(0, 19).replace("T", " ") + " UTC";
    }
    const banner = document.querySelector(".fr-banner");
    if (banner && banner.dataset.tick !== tick) {
      tick = banner.dataset.tick;
      heard = Date.now();
      if (document.title !== banner.dataset.title) document.title = banner.dataset.title;
    }
    // A page without a banner shows nothing that could be taken for the present.
    if (!banner) heard = Date.now();
    const lost = Date.now() - heard > SILENCE_MS;
    if (lost && !document.body.classList.contains("fr-lost")) {
      const since = new Date(heard).toISOString().slice(0, 19).replace("T", " ");
      note.textContent = `This page's server has not answered since ${since} UTC: ` +
        "what is shown is old. Is it running? finkray start ui";
    }
    document.body.classList.toggle("fr-lost", lost);
  }, 500);
}
