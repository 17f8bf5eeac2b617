"""Pictures, videos and the model tab in Chromium, from the upload to the download."""

import csv
import json
import time

import pytest

from engine.registry import entries
from realtime.web.page import HEAD
from realtime.web.tabs import EXAMPLES
from tests.realtime.support.paths import CLIP, below


def give_picture(page, file):
    page.locator("#picture-input input[type=file]").first.set_input_files(file)


def give_video(page, file):
    page.locator("#video-input input[type=file]").first.set_input_files(file)
    page.locator("#video-start:enabled").click()


def read_download(page, selector) -> str:
    with page.expect_download() as download:
        page.locator(selector).click()
    return download.value.path().read_text()


def until(condition, seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)
    return condition()


def files(server) -> set:
    return {path for path in below(server.folder) if path.is_file()}


def test_picture_table_crops_and_json(visit):
    page = visit("Picture")
    give_picture(page, EXAMPLES / "two.jpg")
    page.locator("#picture-crops img").nth(1).wait_for()

    assert page.locator("#picture-annotated img").get_attribute("alt")
    assert page.locator("#picture-crops img").first.get_attribute("alt") == "#0 happiness"
    cells = page.locator("#picture-table [role=row], #picture-table tr").all_inner_texts()
    assert sum("happiness" in row for row in cells) >= 2
    record = json.loads(read_download(page, "#picture-json"))
    first, second = sorted(record["faces"], key=lambda face: face["box"][0])
    assert {first["id"], second["id"]} == {0, 1}
    assert first["expression"]["label"] == "happiness"
    assert second["pose"]["roll"] < first["pose"]["roll"] - 10  # the right one is tilted


def test_an_example_is_a_click_away(visit):
    page = visit("Picture")
    page.locator("#picture-examples button", has_text="two faces").click()
    page.locator("#picture-crops img").nth(1).wait_for()


def test_a_picture_can_be_pasted(visit):
    page = visit("Picture")
    page.locator("#picture-examples img").first.wait_for()
    # From the page and not from Chromium's clipboard, which is slower: the picture then comes
    # while the page still handles the empty one that a paste begins with.
    page.evaluate(
        """async () => {
            const img = new Image();
            img.src = document.querySelector('#picture-examples img').src;
            await img.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [img.naturalWidth, img.naturalHeight];
            canvas.getContext('2d').drawImage(img, 0, 0);
            const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
            const item = new ClipboardItem({ 'image/png': blob });
                navigator.clipboard.read = async () => [item];
        }"""
    )
    page.get_by_role("button", name="Paste from clipboard").click()
    page.locator("#picture-crops img").first.wait_for()


def test_video_plays_with_its_timeline_and_goes_with_the_visitor(visit, server, short_clip):
    before = files(server)
    page = visit("Video")
    give_video(page, short_clip)
    page.get_by_text("Done: 25 frames.").wait_for()

    video = page.locator("#annotated-video video")
    page.wait_for_function("document.querySelector('#annotated-video video')?.readyState >= 2")
    assert video.evaluate("(video) => [video.videoWidth, video.videoHeight]") == [640, 480]
    assert video.evaluate("(video) => video.duration") == pytest.approx(1.0, abs=0.1)
    assert page.locator("#video-timeline path[d^=M]").count() == 8 + 3
    cursor = page.locator("#video-timeline .cursor")

    def place() -> float:
        return float(cursor.get_attribute("x1") or 0)

    places = [place()]
    for seconds in (0.2, 0.8):
        video.evaluate("(video, seconds) => (video.currentTime = seconds)", seconds)
        assert until(lambda: place() != places[-1])
        places.append(place())
    assert places[2] > places[1] + 300
    plot = page.locator("#video-timeline svg")
    plot.click(position={"x": plot.bounding_box()["width"] / 2, "y": 60})
    middle = pytest.approx(0.47, abs=0.1)
    assert until(lambda: video.evaluate("(video) => video.currentTime") == middle)

    lines = [json.loads(line) for line in read_download(page, "#video-jsonl").splitlines()]
    assert len(lines) == 25 and lines[3]["faces"][0]["expression"]["label"] == "happiness"
    rows = list(csv.DictReader(read_download(page, "#video-csv").splitlines()))
    assert len(rows) == 25 and rows[0]["label"] == "happiness"

    assert files(server) - before
    page.close()
    assert until(lambda: not files(server) - before), files(server) - before


def test_a_video_can_be_cancelled(visit, server):
    page = visit("Video")
    give_video(page, CLIP)
    page.locator(
        "#annotated-video .progress-text, #annotated-video .progress-level"
    ).first.wait_for()
    page.locator("#video-cancel:enabled").click()
    page.get_by_text("Cancelled. Nothing was kept.").wait_for()
    assert until(lambda: not any(path.suffix == ".csv" for path in files(server)))
    page.locator("#video-start:enabled").wait_for()


def test_work_on_a_video_ends_when_its_visitor_leaves(visit, server):
    before = files(server)
    page = visit("Video")
    give_video(page, CLIP)
    assert until(lambda: any(path.suffix == ".csv" for path in files(server)))
    page.close()
    assert until(lambda: not files(server) - before), files(server) - before


def test_model_tab_tells_what_runs_how_good_it_is_and_how_fast(visit, server):
    page = visit("Model")
    session = server.networks.session
    facts = page.locator("#model-facts table").inner_text()
    assert session.sha256 in facts and session.description in facts
    assert session.sha256 == entries()[session.path.stem].sha256
    card = page.locator("#model-card").inner_text()
    assert "mean-class accuracy" in card and "must not be used for" in card and "Limits" in card
    page.get_by_role("button", name="Measure").click()
    page.wait_for_function("/\\b16\\b/.test(document.querySelector('#model-timings').innerText)")


def test_every_picture_has_a_text(visit):
    page = visit("Picture")
    give_picture(page, EXAMPLES / "one.jpg")
    page.locator("#picture-crops img").first.wait_for()
    bare = page.evaluate(
        """() => [...document.querySelectorAll('img, canvas, [role=img]')]
            .filter((e) => !(e.alt || e.getAttribute('aria-label')) && e.offsetParent)
            .map((e) => e.outerHTML.slice(0, 200))"""
    )
    assert bare == []


def test_dark_mode_follows_the_system(visit):
    def brightness(scheme: str) -> int:
        page = visit(color_scheme=scheme)
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in color.strip("rgba() ").split(",")[:3])

    assert brightness("dark") < 150 < 600 < brightness("light")


def test_the_page_says_what_happens_to_pictures(visit):
    assert "deleted when you leave" in visit().inner_text("body")
    assert "not what a person feels" in HEAD
