"use strict";
// Show one plan at a time: the one in the address. Arrow keys walk along the front. Without this script all are shown.
(() => {
  const plans = [...document.querySelectorAll(".planof")];
  const points = [...document.querySelectorAll("a.point")];
  if (!plans.length) return;
  document.body.classList.add("live");
  const nameOf = (link) => link.getAttribute("href").slice(1);
  const show = (jump) => {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const shown = plans.find((plan) => plan.id === wanted) || plans[0];
    for (const plan of plans) plan.hidden = plan !== shown;
    for (const link of document.querySelectorAll("a.point, a.topoint")) {
      if (nameOf(link) === shown.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    if (jump && plans.some((plan) => plan.id === wanted)) {
      shown.scrollIntoView({ block: "start" });
    }
  };
  addEventListener("hashchange", () => show(true));
  for (const figure of document.querySelectorAll("svg.front")) {
    const own = points.filter((link) => figure.contains(link));
    figure.addEventListener("keydown", (event) => {
      const at = own.indexOf(document.activeElement);
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (at < 0 || !step) return;
      event.preventDefault();
      own[(at + step + own.length) % own.length].focus();
    });
  }
  show(false);
})();
