// The timeline under an annotated video: follows its time, and a click on it goes there.

window.timeline = (element, props, watch) => {
  const select = element.querySelector("select");
  const box = element.querySelector(".timeline");
  const host = element.querySelector(".timeline-plot");
  const lines = [
    ...props.expressions.map(({ name, color }) => ({ pane: "expression", name, color })),
    ...props.angles.map(({ name, color }) => ({ pane: "pose", name, color })),
  ];
  const plot = new window.FacePlot(host, lines, "Expressions and head pose over the video");
  const video = () => document.querySelector("#annotated-video video");

  watch("value", show);
  select.addEventListener("change", draw);
  host.querySelector("svg").addEventListener("click", ({ clientX, currentTarget }) => {
    const place = currentTarget.getBoundingClientRect();
    const x = ((clientX - place.left) / place.width) * currentTarget.viewBox.baseVal.width;
    if (video()) video().currentTime = Math.max(0, Math.min(props.value.length, plot.time(x)));
  });
  // Gradio makes the video element anew for each result, so its events are caught on their way.
  for (const event of ["seeking", "timeupdate"]) document.addEventListener(event, mark, true);
  document.addEventListener("play", follow, true);

  function show() {
    const faces = props.value?.faces ?? [];
    box.hidden = faces.length === 0;
    select.replaceChildren(...faces.map(({ id }, index) => new Option(`Face #${id}`, index)));
    draw();
  }

  function draw() {
    const { faces = [], length = 1, gap = 1 } = props.value ?? {};
    if (faces.length) plot.show(faces[Number(select.value)].samples, 0, length, gap);
  }

  function mark() {
    if (!box.hidden && video()) plot.cursor(video().currentTime);
  }

  function follow() {
    mark();
    if (video() && !video().paused) requestAnimationFrame(follow);
  }
};
