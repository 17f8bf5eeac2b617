"""A visitor's neutral face: captured in the stream by a button, and gone with it."""

import cv2
import numpy as np
import pytest

from realtime.capture import REST
from realtime.web.networks import Networks
from realtime.web.streams import Streams
from tests.realtime.support.london import FAINT, filmed, needs_london, photograph
from tests.realtime.web.camera import turned_to_the_right
from tests.realtime.web.test_live import part, readout, start
from tests.realtime.web.test_streams import data_url

REST_SECONDS, SMILE_SECONDS, FPS = 12, 4, 30


@pytest.fixture
def streams():
    with Networks("onnxruntime", "cpu") as networks, Streams(networks, 2) as streams:
        yield streams


def answers(streams, key, pictures):
    """Until the capture is done, at most one answer for each picture."""
    first = streams._open[key]._newest + 1
    for number, picture in enumerate(pictures, first):
        yield streams.frame(key, number, False, data_url(picture))


def test_a_laughing_face_is_told_to_rest_and_the_capture_can_be_given_up(streams):
    key, picture = streams.open(), turned_to_the_right()
    (before,) = answers(streams, key, [picture])
    assert before["neutral"] == {
        "owners": [], "lost": None, "share": None, "message": "", "done": False,
    }  # fmt: skip
    streams.capture(key, True)
    (during,) = answers(streams, key, [picture])
    assert during["neutral"]["share"] == 0 and during["neutral"]["message"] == REST
    streams.capture(key, False)
    (after,) = answers(streams, key, [picture])
    assert after["neutral"] == before["neutral"]
    streams.capture("unknown", True)


@needs_london
def test_a_reference_is_the_streams_own_and_goes_with_it(streams):
    mine, other = streams.open(), streams.open()
    streams.capture(mine, True)
    rest = filmed(photograph(FAINT, "neutral"), 600)
    done = next(one for one in answers(streams, mine, rest) if one["neutral"]["done"])
    assert done["neutral"]["owners"] == [0]
    smiles = list(filmed(photograph(FAINT, "smiling"), 15))
    (face,) = list(answers(streams, mine, smiles))[-1]["faces"]
    assert face["expression"]["label"] == "happiness" and "raw" in face
    (face,) = list(answers(streams, other, smiles))[-1]["faces"]
    assert face["expression"]["label"] == "neutral" and "raw" not in face
    streams.close(mine)
    again = streams.open()
    (face,) = list(answers(streams, again, smiles))[-1]["faces"]
    assert "raw" not in face


@pytest.fixture(scope="module")
def faint_clip(tmp_path_factory):
    """Somebody rests, then smiles faintly; the fake camera begins anew whenever it is opened."""
    path = tmp_path_factory.mktemp("camera") / "faint.mjpeg"
    parts = (("neutral", REST_SECONDS), ("smiling", SMILE_SECONDS))
    with path.open("wb") as clip:
        for expression, seconds in parts:
            second = [
                cv2.imencode(".jpg", np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
                for picture in filmed(photograph(FAINT, expression), FPS)
            ]
            clip.write(b"".join(second) * seconds)
    return path


@pytest.fixture
def page(server, chromium, faint_clip):
    browser = chromium(faint_clip)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["camera"])
    page = context.new_page()
    page.on("pageerror", lambda error: print("page error:", error))
    page.set_default_timeout(60_000)
    page.goto(server.url)
    page.get_by_role("tab", name="Live").click()
    yield page
    browser.close()


def labels_for(page, seconds):
    """Every label that the page shows of the first face in these seconds."""
    return page.evaluate(
        """(milliseconds) => new Promise((resolve) => {
            const seen = new Set(), cells = document.querySelector('[data-live=rows]');
            const look = () => seen.add(cells.rows[0]?.cells[1]?.textContent);
            const timer = setInterval(look, 30);
            setTimeout(() => { clearInterval(timer); resolve([...seen]); }, milliseconds);
        })""",
        1000 * seconds,
    )


@pytest.mark.slow
@needs_london
def test_the_button_turns_a_faint_smile_from_neutral_to_happiness(page, server):
    assert part(page, "neutral").is_disabled()
    start(page)
    before = labels_for(page, REST_SECONDS + SMILE_SECONDS + 1)
    assert "happiness" not in before and "neutral" in before
    part(page, "stop").click()
    assert part(page, "neutral").is_disabled()

    start(page)  # the clip begins anew
    part(page, "neutral").click()
    assert part(page, "count").is_visible() and part(page, "count").inner_text() in "321"
    page.get_by_text("Neutral: #0").wait_for()
    assert part(page, "neutral").inner_text() == "Neutral face"
    assert part(page, "heading").inner_text().endswith("against the neutral face of #0")
    page.wait_for_function(
        "document.querySelector('[data-live=rows]').rows[0]?.cells[1].textContent === 'happiness'"
    )
    assert readout(page)[:2] == ["#0", "happiness"]
    width, share = page.evaluate(
        """() => {
            const row = document.querySelectorAll('.bar-row')[1];
            const { transform } = row.querySelector('.bar-track span').style;
            const length = parseFloat(transform.split('(')[1]);
            return [length, parseInt(row.querySelector('.bar-value').textContent) / 100];
        }"""
    )
    assert 0.1 < width < share, "the bar shows the intensity, the percentage the probability"
    assert part(page, "plot").locator(".marks line").count() >= 1

    part(page, "stop").click()
    start(page)
    page.wait_for_function(
        "document.querySelector('[data-live=heading]').textContent === 'The last 30 seconds'"
    )
    assert part(page, "against").inner_text().startswith("Press")


@needs_london
def test_a_second_press_gives_the_capture_up(page):
    start(page)
    part(page, "neutral").click()
    assert part(page, "neutral").inner_text() == "Cancel"
    part(page, "neutral").click()
    assert part(page, "count").is_hidden()
    page.wait_for_timeout(4000)
    assert part(page, "against").inner_text().startswith("Press")
