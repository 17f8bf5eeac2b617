// A plot over time in two panes, expressions above and pose below, as SVG that follows the theme.

window.FacePlot = class {
  static HEIGHT = { expression: 150, pose: 110 };
  static LEFT = 44;
  static DEGREES = 60;

  // lines: [{pane, name, color}], in the order of the values of a sample after its time.
  constructor(host, lines, label) {
    this.lines = lines;
    this.host = host;
    host.replaceChildren();
    host.classList.add("face-plot");
    this.svg = this.add(host, "svg", { role: "img", "aria-label": label });
    this.grid = this.add(this.svg, "g", { class: "grid" });
    this.paths = lines.map(({ color }) => this.add(this.svg, "path", { stroke: color }));
    this.marks = this.add(this.svg, "g", { class: "marks" });
    this.cursorLine = this.add(this.svg, "line", { class: "cursor", visibility: "hidden" });
    for (const pane of ["expression", "pose"]) this.legend(lines.filter((line) => line.pane === pane));
    this.show([], 0, 1, 1);
    new ResizeObserver(() => this.redraw()).observe(host);
  }

  // samples: [[time, value, …]], rising in time; lines break where more than `gap` seconds lie
  // between two, and before a sample with the mark `starts`. A line stands where another `reference`
  // of the neutral face comes into use. origin: the time that the axis calls 0.
  show(samples, from, to, gap, origin = 0) {
    this.last = [samples, from, to, gap, origin];
    this.redraw();
  }

  redraw() {
    const [samples, from, to, gap, origin] = this.last;
    const width = Math.max(160, this.host.clientWidth);
    const { expression, pose } = FacePlot.HEIGHT;
    const bottom = expression + pose + 34;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${bottom + 18}`);
    this.x = (time) =>
      FacePlot.LEFT + ((time - from) / Math.max(to - from, 1e-6)) * (width - FacePlot.LEFT - 12);
    this.time = (x) => from + ((x - FacePlot.LEFT) / (width - FacePlot.LEFT - 12)) * (to - from);
    const panes = {
      expression: (value) => 8 + (1 - value) * expression,
      pose: (value) => {
        const degrees = Math.max(-FacePlot.DEGREES, Math.min(FacePlot.DEGREES, value));
        return bottom - pose / 2 - (degrees / FacePlot.DEGREES) * (pose / 2);
      },
    };
    this.drawGrid(panes, from, to, origin, width, bottom);
    this.lines.forEach(({ pane }, index) => {
      let path = "";
      let before = -Infinity;
      for (const sample of samples) {
        const move = sample.starts || sample[0] - before > gap ? "M" : "L";
        path += `${move}${this.x(sample[0]).toFixed(1)} ${panes[pane](sample[index + 1]).toFixed(1)}`;
        before = sample[0];
      }
      this.paths[index].setAttribute("d", path);
    });
    this.drawMarks(samples, bottom);
    if (this.cursorTime !== undefined) this.cursor(this.cursorTime);
  }

  // Marks a time, as that of a video being played.
  cursor(time) {
    this.cursorTime = time;
    const x = this.x(time);
    const { expression, pose } = FacePlot.HEIGHT;
    const place = { x1: x, x2: x, y1: 4, y2: expression + pose + 34, visibility: "visible" };
    for (const [name, value] of Object.entries(place)) this.cursorLine.setAttribute(name, value);
  }

  drawMarks(samples, bottom) {
    const begins = ({ starts, reference }, index) =>
      reference && !starts && index > 0 && samples[index - 1].reference !== reference;
    this.marks.replaceChildren();
    for (const [time] of samples.filter(begins)) {
      const x = this.x(time);
      this.add(this.marks, "line", { x1: x, x2: x, y1: 4, y2: bottom });
      const late = x > 0.75 * Math.max(160, this.host.clientWidth); // so that the words stay inside
      const place = { x: late ? x - 5 : x + 5, y: 46, "text-anchor": late ? "end" : "start" };
      this.add(this.marks, "text", place).textContent = "neutral face known";
    }
  }

  drawGrid(panes, from, to, origin, width, bottom) {
    const key = [from - origin, to - origin, width].map((value) => value.toFixed(2)).join();
    if (key === this.gridKey) return;
    this.gridKey = key;
    this.grid.replaceChildren();
    const level = (y, text) => {
      this.add(this.grid, "line", { x1: FacePlot.LEFT, x2: width - 12, y1: y, y2: y });
      this.text(FacePlot.LEFT - 6, y + 4, text, "end");
    };
    for (const share of [0, 0.5, 1]) level(panes.expression(share), `${100 * share} %`);
    for (const degrees of [-60, 0, 60]) level(panes.pose(degrees), `${degrees > 0 ? "+" : ""}${degrees}°`);
    const step = [0.5, 1, 2, 5, 10, 20, 30, 60].find((seconds) => (to - from) / seconds <= width / 70) ?? 60;
    for (let time = Math.ceil((from - origin) / step) * step; time <= to - origin + 1e-6; time += step) {
      this.text(this.x(time + origin), bottom + 16, `${+time.toFixed(1)} s`, "middle");
    }
  }

  legend(lines) {
    const list = document.createElement("ul");
    for (const { name, color } of lines) {
      const item = list.appendChild(document.createElement("li"));
      const mark = item.appendChild(document.createElement("span"));
      mark.style.background = color;
      item.append(name);
    }
    this.host.append(list);
  }

  text(x, y, text, anchor) {
    this.add(this.grid, "text", { x, y, "text-anchor": anchor }).textContent = text;
  }

  add(parent, name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return parent.appendChild(element);
  }
};
