"""Reading a face against its person's own rest."""

import json
from pathlib import Path

import numpy as np
import pytest

from engine.session import open_session
from realtime.faces import EXPRESSIONS, HeadPose
from realtime.number_file import ReferenceFileError
from realtime.population import Population, centred_logits, population_file, weights_of
from realtime.reference import Reference
from tests.realtime.support.resting import FRONTAL, MODEL, POPULATION, resting, shifted

HAPPINESS = EXPRESSIONS.index("happiness")


def captured(random, offset=0.0, wander=0.2, frames=40):
    shown = resting(random, frames, offset=offset, wander=wander)
    return Reference.capture(POPULATION, shown, [FRONTAL] * frames)


def test_nobodys_reference_leaves_every_reading_as_it_is():
    random = np.random.default_rng(0)
    stranger = Reference.of_nobody(POPULATION)
    for given in random.dirichlet(np.full(8, 0.3), 200).astype(np.float32):
        np.testing.assert_allclose(stranger.read(given, HeadPose(30, 10, 0)), given, atol=2e-5)


def test_a_faint_smile_is_found_against_ones_own_rest_and_not_without():
    random = np.random.default_rng(1)
    rest = resting(random, 200, offset=-2.0)
    reference = Reference.capture(POPULATION, rest[:40], [FRONTAL] * 40)
    faint = [shifted(one, HAPPINESS, 1.6) for one in rest[40:]]
    assert all(one.argmax() == 0 for one in faint)
    assert np.mean([reference.read(one).argmax() == HAPPINESS for one in faint]) > 0.95
    assert np.mean([reference.read(one).argmax() != 0 for one in rest[40:]]) <= 0.01


def test_a_face_that_rests_happily_is_at_rest():
    random = np.random.default_rng(2)
    rest = resting(random, 100, offset=6.0)
    assert np.mean(rest[:, HAPPINESS] > rest[:, 0]) > 0.5
    reference = Reference.capture(POPULATION, rest[:40], [FRONTAL] * 40)
    assert all(reference.read(one).argmax() == 0 for one in rest[40:])


def test_another_persons_reference_is_wrong_for_this_one():
    random = np.random.default_rng(3)
    other = captured(random, offset=-2.0)
    assert (
        np.mean([other.read(one).argmax() != 0 for one in resting(random, 100, offset=1.0)]) > 0.5
    )


def test_probabilities_sum_to_one_whatever_comes():
    random = np.random.default_rng(4)
    reference = captured(random)
    for given in [*np.eye(8, dtype=np.float32), *random.dirichlet(np.full(8, 0.05), 50)]:
        read = reference.read(given, HeadPose(-80, 60, 5))
        assert read.shape == (8,) and read.dtype == np.float32
        assert np.isfinite(read).all() and read.sum() == pytest.approx(1, abs=1e-5)


def test_a_strong_expression_stays_what_the_network_calls_it():
    reference = captured(np.random.default_rng(5))
    for k in range(1, 8):
        strong = np.full(8, 0.002, np.float32)
        strong[k] = 1 - 7 * 0.002
        assert reference.read(strong).argmax() == k


def test_more_of_an_expression_is_never_less_of_it():
    random = np.random.default_rng(6)
    rest = resting(random, 41)
    reference = Reference.capture(POPULATION, rest[:40], [FRONTAL] * 40)
    steps = [shifted(rest[40], HAPPINESS, step) for step in np.linspace(0, 12, 60)]
    shares = [reference.read(one)[HAPPINESS] for one in steps]
    strengths = [reference.intensity(one)[HAPPINESS] for one in steps]
    assert np.all(np.diff(shares) >= -1e-6)
    assert np.all(np.diff(strengths) >= 0)
    assert strengths[0] < 0.1 and strengths[-1] > 0.8


def test_intensity_lies_between_rest_and_the_strongest():
    random = np.random.default_rng(7)
    reference = captured(random)
    for given in random.dirichlet(np.full(8, 0.2), 50):
        strength = reference.intensity(given)
        assert strength.min() >= 0 and strength.max() <= 1
        assert strength[0] == pytest.approx(1 - strength[1:].max(), abs=1e-6)


def test_a_head_that_has_turned_needs_a_stronger_rise():
    random = np.random.default_rng(8)
    rest = resting(random, 41, wander=0.1)
    reference = Reference.capture(POPULATION, rest[:40], [FRONTAL] * 40)
    faint = shifted(rest[40], HAPPINESS, 1.0)
    straight, nearly, turned = (reference.read(faint, HeadPose(yaw, 0, 0)) for yaw in (0, 4, 25))
    np.testing.assert_array_equal(straight, nearly)
    assert turned[HAPPINESS] < straight[HAPPINESS]


def test_few_frames_count_for_less():
    random = np.random.default_rng(9)
    rest = resting(random, 60, offset=-2.0)
    faint = shifted(rest[50], HAPPINESS, 1.6)
    shares = [
        Reference.capture(POPULATION, rest[:n], [FRONTAL] * n).read(faint)[HAPPINESS]
        for n in (2, 40)
    ]
    alone = faint[HAPPINESS]
    assert alone < shares[0] and alone < shares[1]


def test_one_frame_is_no_reference():
    with pytest.raises(ValueError, match="two frames"):
        Reference.capture(POPULATION, resting(np.random.default_rng(0), 1), [FRONTAL])


def test_a_saved_reference_reads_the_same(tmp_path):
    random = np.random.default_rng(10)
    reference = captured(random, offset=-1.0)
    reference.save(tmp_path / "me.json")
    loaded = Reference.load(tmp_path / "me.json", POPULATION)
    assert loaded.frames == 40
    for given in random.dirichlet(np.full(8, 0.3), 20):
        np.testing.assert_allclose(loaded.read(given), reference.read(given), atol=1e-4)


def test_the_file_holds_numbers_alone(tmp_path):
    captured(np.random.default_rng(11)).save(tmp_path / "me.json")
    content = json.loads((tmp_path / "me.json").read_text())
    assert set(content) == {
        "kind",
        "format",
        "model",
        "expressions",
        "frames",
        "pose",
        "mean",
        "covariance",
    }
    assert (tmp_path / "me.json").stat().st_size < 5000


def test_another_models_file_is_refused(tmp_path):
    captured(np.random.default_rng(12)).save(tmp_path / "me.json")
    vectors = {
        name: getattr(POPULATION, name)
        for name in ("rest", "rest_spread", "wander", "turn", "strongest")
    }
    with pytest.raises(ReferenceFileError, match="another model") as caught:
        Reference.load(tmp_path / "me.json", Population("f" * 64, **vectors))
    assert "\n" not in str(caught.value)


def edited(**changes):
    def edit(content):
        return json.dumps(content | changes)

    return edit


NAN = float("nan")


@pytest.mark.parametrize(
    "edit",
    [
        lambda content: "",
        lambda content: "[" * 50_000,
        lambda content: "[1, 2]",
        lambda content: json.dumps(content)[:-40],
        lambda content: json.dumps(content) + " " * 200_000,
        edited(kind="population"),
        edited(format=99),
        edited(format=[]),
        edited(model=None),
        edited(expressions=["joy"]),
        edited(mean=["1"] * 8),
        edited(mean=[True] * 4 + [False] * 4),
        edited(mean=[1.0] * 8),
        edited(mean=[1000.0, -1000.0] * 4),
        edited(frames=-1),
        edited(frames=True),
        edited(frames=1e99),
        edited(frames="20"),
        edited(pose=[1, 2]),
        edited(pose=[1, 2, NAN]),
        edited(mean=[NAN] * 8),
        edited(mean=[float("inf")] * 8),
        edited(mean=[1e300] * 8),
        edited(mean=["x"] * 8),
        edited(mean=[[1]] * 8),
        edited(mean={"a": 1}),
        edited(mean=[1] * 9),
        edited(mean=[10**400] * 8),
        edited(covariance=[[1] * 8] * 7),
        edited(covariance=[[1] * 7 + [2]] * 8),
        edited(covariance=(-np.eye(8)).tolist()),
    ],
)
def test_a_broken_or_hostile_file_gives_one_sentence(tmp_path, edit):
    path = tmp_path / "me.json"
    captured(np.random.default_rng(13)).save(path)
    path.write_text(edit(json.loads(path.read_text())))
    with pytest.raises(ReferenceFileError) as caught:
        Reference.load(path, POPULATION)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("model", ["\x1b[31m" + "a" * 60, "a" * 12 + "\x1b[2J", "\ud800", 7])
def test_no_control_character_of_a_file_reaches_the_terminal(tmp_path, model):
    path = tmp_path / "me.json"
    Reference.of_nobody(POPULATION).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": model}))
    with pytest.raises(ReferenceFileError, match="another model") as caught:
        Reference.load(path, POPULATION)
    assert str(caught.value).isprintable()


def test_bytes_that_are_no_text_and_no_file_at_all(tmp_path):
    (tmp_path / "noise").write_bytes(bytes(range(256)))
    for name in ("noise", "absent", "."):
        with pytest.raises(ReferenceFileError):
            Reference.load(tmp_path / name, POPULATION)


def test_a_population_survives_its_file(tmp_path):
    POPULATION.save(tmp_path / "p.json")
    loaded = Population.load(tmp_path / "p.json", MODEL)
    np.testing.assert_allclose(loaded.rest_spread, POPULATION.rest_spread, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("wander", 0.0), ("wander", 9.0), ("turn", -1.0), ("strongest", -50.0)],
)
def test_an_impossible_population_is_refused(tmp_path, name, value):
    POPULATION.save(tmp_path / "p.json")
    content = json.loads((tmp_path / "p.json").read_text()) | {name: [value] * 8}
    (tmp_path / "p.json").write_text(json.dumps(content))
    with pytest.raises(ReferenceFileError):
        Population.load(tmp_path / "p.json", MODEL)


def test_the_shipped_model_has_its_population_in_both_precisions():
    for precision in ("fp32", "int8"):
        with open_session("ipd_fer", "onnxruntime", "cpu", precision) as session:
            population = Population.of(session)
            assert population.model == weights_of(session)


def test_a_model_without_population_says_how_to_make_it(tmp_path):
    with open_session("ipd_fer", "onnxruntime", "cpu", "fp32") as session:
        session.path = tmp_path / "mine.onnx"
        with pytest.raises(ReferenceFileError, match="realtime.measure.population"):
            Population.of(session)


def test_the_file_of_a_model_is_shared_by_its_quantised_copies():
    for name in ("ipd_fer.onnx", "ipd_fer.int8.onnx", "ipd_fer.trt-int8.onnx"):
        assert population_file(Path("a.b") / name) == Path("a.b") / "ipd_fer.reference.json"


def test_centred_logits_bear_zero():
    logits = centred_logits(np.eye(8)[0])
    assert np.isfinite(logits).all() and logits.sum() == pytest.approx(0, abs=1e-9)
