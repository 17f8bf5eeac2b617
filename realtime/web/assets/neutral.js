// The button that captures a neutral face: counts down, lets the server take two seconds, says how it goes.

// button, count, said: elements. capture(begin): tells the server; resolves with its answer.
window.neutralButton = ({ button, count, said, capture }) => {
  const SECONDS = 3; // to look at the camera after the hand has left the mouse
  const invitation = said.textContent;

  let timer = null; // of the countdown
  let capturing = false;
  let kept = null; // a word that stays until the next thing happens

  button.addEventListener("click", () => (timer === null && !capturing ? countDown(SECONDS) : giveUp()));

  function countDown(seconds) {
    button.textContent = "Cancel";
    count.hidden = seconds === 0;
    count.textContent = seconds;
    if (seconds === 0) return begin();
    tell(`Look at the camera and rest your face: ${seconds}`);
    timer = setTimeout(() => countDown(seconds - 1), 1000);
  }

  async function begin() {
    timer = null;
    capturing = true;
    tell("Rest your face …");
    const answer = await capture(true);
    if (answer && !answer.error) return;
    stop();
    kept = answer?.error ?? "The server does not answer. Try again.";
    tell(kept);
  }

  function giveUp() {
    if (capturing) capture(false);
    stop();
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
    capturing = false;
    count.hidden = true;
    button.textContent = "Neutral face";
  }

  // A new stream or none: what was known of faces is gone.
  function reset(running) {
    stop();
    kept = null;
    button.disabled = !running;
    tell(invitation);
  }

  // What the server knows; see Streams.frame.
  function show({ owners, lost, share, message, done } = { owners: [] }) {
    if (timer !== null) return;
    if (capturing && done) stop();
    if (done) kept = null;
    if (capturing) {
      if (typeof share === "number") tell(message ? `${capital(message)}.` : "Rest your face …");
    } else if (done) tell("Done.");
    else if (kept) tell(kept);
    else if (owners.length) tell(`Neutral: ${owners.map((id) => `#${id}`).join(", ")}.`);
    else if (typeof lost === "number") tell(`#${lost} is gone. Press “Neutral face” for a new one.`);
    else tell(invitation);
  }

  function tell(words) {
    if (said.textContent !== words) said.textContent = words;
  }

  const capital = (words) => words[0].toUpperCase() + words.slice(1);

  return { reset, show };
};
