// The live tab: camera → server → canvas. A frame leaves only when an answer has come, so what is
// shown is as old as one trip to the server and back, however slow the server is.

window.liveTab = (element, props, server) => {
  const IN_FLIGHT = 2; // one on its way while the server works on the other
  const WINDOW = 30; // seconds that the plot shows
  const STEP = 0.1; // seconds between two samples of it, of which it has no pixels to show more
  const RETRY = 2000; // milliseconds
  const PATIENCE = 10000; // milliseconds; after a sleep some questions are never answered

  const find = (name) => element.querySelector(`[data-live="${name}"]`);
  const [start, stop, camera, size, mirror] = ["start", "stop", "camera", "size", "mirror"].map(find);
  const [status, view, hint, bars, who, rows] = ["status", "view", "hint", "bars", "who", "rows"].map(find);
  const heading = find("heading");
  const context = view.getContext("2d", { alpha: false });
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  const grab = document.createElement("canvas");
  const grabContext = grab.getContext("2d", { alpha: false, willReadFrequently: true });

  let run = null; // what the current run owns; a new start makes a new one
  let samples = [];
  let shownId = null;
  let plotted = 0;

  const barOf = makeBars(bars, props.expressions);
  const lines = [
    ...props.expressions.map(({ name, color }) => ({ pane: "expression", name, color })),
    ...props.angles.map(({ name, color }) => ({ pane: "pose", name, color })),
  ];
  const plot = new window.FacePlot(find("plot"), lines, "Expressions and head pose, last 30 seconds");
  plot.show([], 0, WINDOW, 1);

  const neutral = window.neutralButton({
    button: find("neutral"),
    count: find("count"),
    said: find("against"),
    capture: (begin) => run?.place && ask(run, () => server.neutral_face({ key: run.place.key, begin })),
  });

  start.addEventListener("click", begin);
  stop.addEventListener("click", () => end("Stopped. The camera is off."));
  camera.addEventListener("change", () => run && openCamera(run));
  size.addEventListener("change", () => run && openCamera(run));

  async function begin() {
    if (run) return;
    const mine = (run = { place: null, stream: null, waiting: [], shown: [] });
    start.disabled = true;
    stop.disabled = false;
    say("Asking for the camera …");
    if (!(await openCamera(mine))) return;
    if (!(await takePlace(mine))) return;
    for (let count = 0; count < IN_FLIGHT; count++) work(mine);
  }

  function end(message, failed = false) {
    if (!run) return;
    const { place, stream, waiting } = run;
    run = null;
    stream?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    waiting.forEach((resolve) => resolve(false));
    if (place) server.close_stream(place.key);
    start.disabled = false;
    stop.disabled = true;
    neutral.reset(false);
    say(message, failed);
  }

  // True where the camera gives pictures; otherwise the run has ended with a message.
  async function openCamera(mine) {
    const [width, height] = size.value.split("x").map(Number);
    const wanted = { width: { ideal: width }, height: { ideal: height } };
    if (camera.value) wanted.deviceId = { exact: camera.value };
    try {
      if (!navigator.mediaDevices) throw new DOMException("", "InsecureContext");
      mine.stream?.getTracks().forEach((track) => track.stop());
      mine.stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
      if (mine !== run) {
        mine.stream.getTracks().forEach((track) => track.stop());
        return false;
      }
      mine.stream.getVideoTracks()[0].addEventListener("ended", () => {
        if (mine === run) end("The camera was unplugged. Plug it in and press Start.", true);
      });
      video.srcObject = mine.stream;
      await video.play();
      await listCameras(mine.stream);
      return mine === run;
    } catch (error) {
      if (mine === run) end(cameraAdvice(error), true);
      return false;
    }
  }

  async function listCameras(stream) {
    const used = stream.getVideoTracks()[0].getSettings().deviceId;
    const devices = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === "videoinput");
    camera.replaceChildren(
      ...devices.map(({ deviceId, label }, index) => new Option(label || `Camera ${index + 1}`, deviceId)),
    );
    camera.value = used;
  }

  // True with a place at the server; waits for one where all are taken.
  async function takePlace(mine) {
    while (mine === run) {
      const answer = await ask(mine, () => server.open_stream(mine.place?.key ?? null));
      if (mine !== run) {
        if (answer?.key) server.close_stream(answer.key);
        return false;
      }
      if (answer?.key) {
        // The server counts time and faces anew in each place, and so does what is shown.
        mine.place = { key: answer.key, number: 0, latest: -1 };
        samples = [];
        shownId = null;
        neutral.reset(true);
        return true;
      }
      if (answer) say(answer.message);
      await pause(RETRY);
    }
    return false;
  }

  async function work(mine) {
    while (mine === run) {
      if (!(await nextFrame(mine))) return;
      const place = mine.place;
      const frame = { key: place.key, number: place.number++, mirror: mirror.checked, image: capture() };
      const sent = performance.now();
      const answer = await ask(mine, () => server.frame(frame));
      if (mine !== run) return;
      if (!answer) await pause(RETRY);
      else if (answer.error) end(answer.error, true);
      else if (answer.over) await takeNewPlace(mine, place);
      else if (answer.image) await show(mine, place, answer, performance.now() - sent);
    }
  }

  // The server ended the stream, as after a long sleep; the first worker to notice opens another.
  async function takeNewPlace(mine, old) {
    if (mine.place !== old) return;
    mine.reopening ??= takePlace(mine).finally(() => (mine.reopening = null));
    await mine.reopening;
  }

  async function ask(mine, question) {
    let timer;
    const late = new Promise((_, reject) => (timer = setTimeout(reject, PATIENCE)));
    try {
      return await Promise.race([question(), late]);
    } catch {
      if (mine === run) say("The server does not answer. Trying again …", true);
      return null;
    } finally {
      clearTimeout(timer);
    }
  }

  // Resolves with the next new picture of the camera, each to one worker only.
  function nextFrame(mine) {
    const promise = new Promise((resolve) => mine.waiting.push(resolve));
    if (mine.waiting.length === 1) tick(mine);
    return promise;
  }

  function tick(mine) {
    const next = video.requestVideoFrameCallback?.bind(video) ?? requestAnimationFrame;
    next(() => {
      mine.waiting.shift()?.(mine === run);
      if (mine.waiting.length) tick(mine);
    });
  }

  function capture() {
    const [width, height] = size.value.split("x").map(Number);
    const scale = Math.min(1, Math.max(width, height) / Math.max(video.videoWidth, video.videoHeight));
    grab.width = Math.round(video.videoWidth * scale);
    grab.height = Math.round(video.videoHeight * scale);
    grabContext.drawImage(video, 0, 0, grab.width, grab.height);
    return grab.toDataURL("image/jpeg", 0.85);
  }

  async function show(mine, place, answer, trip) {
    const picture = new Image();
    picture.src = answer.image;
    await picture.decode();
    if (mine !== run || place !== mine.place || answer.time < place.latest) return;
    place.latest = answer.time;
    if (view.width !== picture.width || view.height !== picture.height) {
      view.width = picture.width;
      view.height = picture.height;
    }
    context.drawImage(picture, 0, 0);
    hint.hidden = true;
    countFrame(mine, trip);
    neutral.show(answer.neutral);
    showFaces(answer);
  }

  function countFrame(mine, trip) {
    const now = performance.now();
    mine.shown.push(now);
    mine.shown = mine.shown.filter((time) => now - time < 2000);
    if (now - (mine.told ?? 0) < 500) return;
    mine.told = now;
    const span = (now - mine.shown[0]) / 1000;
    const rate = span > 0 ? (mine.shown.length - 1) / span : 0;
    say(`${rate.toFixed(0)} frames/s, ${trip.toFixed(0)} ms from camera to picture`);
  }

  function showFaces({ faces, time }) {
    const face = faces.find(({ id }) => id === shownId) ?? faces[0];
    write(who, face ? `Face #${face.id}: ${face.expression.label}` : "No face in view");
    for (const { name } of props.expressions) {
      const probability = face?.expression.probabilities[name] ?? 0;
      barOf(name, probability, face?.intensity?.[name] ?? probability);
    }
    write(heading, `The last 30 seconds${face?.reference ? `, against the neutral face of #${face.id}` : ""}`);
    fillRows(rows, faces);
    if (face) {
      const values = Object.values(face.expression.probabilities);
      const sample = [time, ...values, ...Object.values(face.pose)];
      sample.starts = face.id !== shownId; // another face gets lines of its own
      sample.reference = face.reference;
      shownId = face.id;
      const since = time - (samples.at(-1)?.[0] ?? -Infinity);
      if (sample.starts || since >= STEP || since < 0) samples.push(sample);
    }
    samples = samples.filter(([at]) => time - at <= WINDOW);
    if (time - plotted >= 0.15 || time < plotted) {
      plotted = time;
      plot.show(samples, time - WINDOW, time, 1.5, time);
    }
  }

  function say(message, failed = false) {
    status.textContent = message;
    status.classList.toggle("failed", failed);
  }

  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
};

function cameraAdvice({ name, message }) {
  const advice = {
    NotAllowedError: "The browser refused the camera. Allow it beside the address bar, then press Start.",
    NotFoundError: "No camera was found. Plug one in, then press Start.",
    NotReadableError: "The camera is in use. Close the other program, then press Start.",
    OverconstrainedError: "This camera is gone. Choose another, then press Start.",
    InsecureContext: "Browsers give the camera only to pages on localhost or https. Open this one so.",
  };
  return advice[name] ?? `The camera could not be opened (${name}: ${message}).`;
}

// Bars that change their width and never their place; returns the function that sets one.
function makeBars(host, expressions) {
  const parts = {};
  for (const { name, color } of expressions) {
    const row = host.appendChild(document.createElement("div"));
    row.className = "bar-row";
    const [label, track, value] = ["bar-name", "bar-track", "bar-value"].map((kind) => {
      const part = row.appendChild(document.createElement("span"));
      part.className = kind;
      return part;
    });
    label.textContent = name;
    const fill = track.appendChild(document.createElement("span"));
    fill.style.background = color;
    parts[name] = { fill, value };
    value.textContent = "–";
  }
  return (name, probability, length) => {
    // Neither lays the page out anew: it would be done for every bar of every picture.
    parts[name].fill.style.transform = `scaleX(${length})`;
    write(parts[name].value, `${Math.round(100 * probability)} %`);
  };
}

// One row a face, oldest id first; cells keep their places and change their text only.
function fillRows(body, faces) {
  const byId = [...faces].sort((a, b) => a.id - b.id);
  while (body.rows.length > byId.length) body.deleteRow(-1);
  byId.forEach(({ id, expression, pose }, index) => {
    const row = body.rows[index] ?? body.insertRow();
    while (row.cells.length < 5) row.insertCell();
    const angles = Object.values(pose).map(Math.round).map((angle) => `${angle < 0 ? "−" : "+"}${Math.abs(angle)}°`);
    [`#${id}`, expression.label, ...angles].forEach((text, column) => {
      write(row.cells[column], text);
    });
  });
}

// Most texts stay what they were from one picture to the next, and need not be drawn again.
function write(part, text) {
  if (part.textContent !== text) part.textContent = text;
}
