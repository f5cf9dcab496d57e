(() => {
  const box = document.querySelector(".plotbox"), source = document.getElementById("spans");
  if (!box || !source) return;
  const data = JSON.parse(source.textContent), UNIT = 1e6, SVG = "http://www.w3.org/2000/svg";
  const chart = box.querySelector(".timeline"), plot = box.querySelector(".plot");
  const ticks = box.querySelector(".ticks"), marks = box.querySelector(".marks");
  const tip = box.appendChild(document.createElement("div"));
  let from = 0, to = UNIT, dragged = null;
  document.body.classList.add("live");
  tip.className = "tip";
  tip.hidden = true;

  const add = (parent, name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const key in attributes) made.setAttribute(key, attributes[key]);
    if (text !== undefined) made.textContent = text;
    return parent.appendChild(made);
  };
  const width = () => box.clientWidth || 1;
  const pixel = (unit) => ((unit - from) / (to - from)) * width();
  const unitAt = (x) => from + (x / width()) * (to - from);
  const words = (s, digits = 4) => {
    const [scale, name] = Math.abs(s) >= 1 || s === 0 ? [1, "s"] : Math.abs(s) >= 1e-3 ? [1e3, "ms"] : [1e6, "µs"];
    return `${+(s * scale).toPrecision(digits)} ${name}`;
  };

  function draw() {
    plot.setAttribute("viewBox", `${from} 0 ${to - from} ${data.height}`);
    plot.querySelectorAll(".span").forEach((path) => {
      path.classList.toggle("thin", (path.dataset.mean / (to - from)) * width() < 3.5);
    });
    ticks.replaceChildren();
    marks.replaceChildren();
    const start = (from / UNIT) * data.span_s, length = ((to - from) / UNIT) * data.span_s;
    const most = Math.max(2, Math.min(9, Math.floor(width() / 90)));
    let step = 10 ** Math.floor(Math.log10(length / most));
    step *= [1, 2, 5, 10].find((factor) => length / (step * factor) <= most) || 10;
    for (let i = Math.ceil(start / step - 1e-9); i * step <= start + length * (1 + 1e-9); i++) {
      const x = pixel((i * step / data.span_s) * UNIT);
      add(ticks, "line", { x1: x, x2: x, y1: 0, y2: data.height });
      const side = x < 24 ? "first" : x > width() - 24 ? "last" : "mid";
      add(ticks, "text", { x, y: data.height + 15, class: side }, words(i * step, 6));
    }
    for (const bar of data.bars) {
      if (bar.h < 14) continue;
      bar.v.forEach(([at, long, , batch], i) => {
        if (batch < 0 || at + long < from || at > to) return;
        const left = Math.max(0, pixel(at)), right = Math.min(width(), pixel(at + long));
        if (right - left < 8 + 7 * String(batch).length) return;
        add(marks, "text", { x: (left + right) / 2, y: bar.y + 13, class: "k-" + bar.k[i] }, batch);
      });
    }
    if (dragged) {
      const [a, b] = [dragged.from, dragged.to].map(pixel).sort((x, y) => x - y);
      add(marks, "rect", { x: a, y: 0, width: b - a, height: data.height });
    }
  }

  function look(a, b) {
    const length = Math.min(UNIT, Math.max(b - a, 200));
    from = Math.max(0, Math.min(UNIT - length, (a + b - length) / 2));
    to = from + length;
    draw();
  }
  function act(name) {
    const length = to - from, middle = (from + to) / 2;
    if (name === "in") look(middle - length / 4, middle + length / 4);
    if (name === "out") look(middle - length, middle + length);
    if (name === "left") look(from - length / 3, to - length / 3);
    if (name === "right") look(from + length / 3, to + length / 3);
    if (name === "all") look(0, UNIT);
  }

  function find(x, y) {
    const bar = data.bars.find((row) => y >= row.y && y < row.y + row.h + 1);
    if (!bar) return null;
    const at = unitAt(x);
    let low = 0, high = bar.v.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (bar.v[middle][0] <= at) low = middle; else high = middle - 1;
    }
    const found = bar.v[low];
    return found && at >= found[0] && at <= found[0] + found[1] ? { bar, span: found, kind: bar.k[low] } : null;
  }
  function show(x, y) {
    const found = find(x, y);
    tip.hidden = !found;
    if (!found) return;
    const [at, long, row, batch] = found.span, second = data.span_s / UNIT;
    const what = row < 0 ? "mostly " + data.kinds[found.kind] : data.rows[row];
    tip.textContent =
      `${what}${batch < 0 ? "" : ", micro-batch " + batch}\n${found.bar.name}\n` +
      `${words(at * second, 6)} to ${words((at + long) * second, 6)}, ${words(long * second)}`;
    tip.style.left = Math.max(0, Math.min(x + 14, width() - tip.offsetWidth)) + "px";
    tip.style.top = y + 18 + "px";
  }

  const place = (event) => {
    const edge = chart.getBoundingClientRect();
    return [event.clientX - edge.left, event.clientY - edge.top];
  };
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    const [x] = place(event);
    dragged = { from: unitAt(x), to: unitAt(x) };
    box.setPointerCapture(event.pointerId);
  });
  box.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    if (!dragged) return show(x, y);
    dragged.to = Math.max(from, Math.min(to, unitAt(x)));
    tip.hidden = true;
    draw();
  });
  box.addEventListener("pointerup", () => {
    if (!dragged) return;
    const [a, b] = [dragged.from, dragged.to].sort((x, y) => x - y);
    dragged = null;
    if (pixel(b) - pixel(a) > 6) look(a, b); else draw();
  });
  box.addEventListener("pointercancel", () => { dragged = null; draw(); });
  box.addEventListener("pointerleave", () => { tip.hidden = true; });
  box.addEventListener("dblclick", () => act("all"));
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const at = unitAt(place(event)[0]), factor = Math.exp(event.deltaY / 400);
    look(at - (at - from) * factor, at + (to - at) * factor);
  }, { passive: false });
  box.addEventListener("keydown", (event) => {
    const name = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" }[event.key];
    if (!name || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act(name);
  });
  document.querySelectorAll("[data-zoom]").forEach((button) => {
    button.addEventListener("click", () => act(button.dataset.zoom));
  });
  addEventListener("resize", draw);
  draw();
})();
