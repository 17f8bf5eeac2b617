import pytest

from realtime.detection.pyramid import STRIDE, WINDOW, pyramid, spread


def windows(part) -> set[tuple[float, int]]:
    """The rows at which P-Net's window stands in a part, by level."""
    count = (part.rows[1] - part.rows[0] - WINDOW) // STRIDE + 1
    return {(part.scale, part.rows[0] + STRIDE * index) for index in range(count)}


@pytest.mark.parametrize("size", [(480, 640), (1080, 1920), (97, 1003), (41, 40)])
@pytest.mark.parametrize("frames", [1, 3, 4, 7])
def test_portions_hold_every_window_once(size, frames):
    levels = pyramid(*size, min_face=40)
    portions = spread(levels, frames)

    parts = [part for portion in portions for part in portion]
    found = [window for part in parts for window in windows(part)]
    assert len(found) == len(set(found))
    assert set(found) == {window for level in levels for window in windows(level)}
    assert len(portions) <= frames


def test_portions_cost_about_the_same():
    portions = spread(pyramid(480, 640, 40), 4)
    areas = [sum(part.area for part in portion) for portion in portions]
    assert max(areas) < 1.5 * min(areas)


def test_strips_begin_where_windows_stand():
    for portion in spread(pyramid(480, 640, 20), 6):
        assert all(part.rows[0] % STRIDE == 0 for part in portion)


def test_an_image_too_small_has_no_levels():
    assert pyramid(30, 500, min_face=40) == [] and spread([], 4) == []
