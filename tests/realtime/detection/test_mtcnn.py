import csv
import zipfile

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from engine.contract import EngineError
from realtime.align import align, similarity_transform
from realtime.detection.mtcnn import Detector
from tests.realtime.support.sessions import fake_sessions

LANDMARK_COLUMNS = ("eye_l", "eye_r", "nose", "mouth_l", "mouth_r")


@pytest.fixture(scope="module")
def detector():
    with Detector(min_face=40, device="cpu") as made:
        yield made


@pytest.fixture(scope="module")
def reference():
    """facenet-pytorch's own MTCNN at the same settings: image → boxes, scores, landmarks."""
    torch = pytest.importorskip("torch")
    from train.networks.facenet_pytorch import import_facenet_pytorch

    mtcnn = import_facenet_pytorch().MTCNN(min_face_size=40, keep_all=True, device="cpu")

    def faces(image):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            boxes, scores, landmarks = mtcnn.detect(image, landmarks=True)
        finally:
            torch.set_num_threads(threads)
        return [] if boxes is None else list(zip(boxes, scores, landmarks, strict=True))

    return faces


def test_it_says_what_each_network_runs_with(detector):
    assert list(detector.engines) == ["mtcnn_pnet", "mtcnn_rnet", "mtcnn_onet"]
    assert all(", fp32, " in engine for engine in detector.engines.values())


def test_the_precision_is_the_networks():
    with Detector(device="cpu", backend="onnxruntime", precision="fp32") as made:
        assert all("auto" not in engine for engine in made.engines.values())
    with pytest.raises(EngineError, match="mtcnn_pnet.onnx in fp32, not in fp16"):
        Detector(device="cpu", backend="onnxruntime", precision="fp16")


def overlap(a, b):
    """Intersection over union of two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    shared = np.prod(np.maximum(sides, 0))
    return shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared)


def assert_same_faces(faces, expected):
    """Every face has its partner: IoU > 0.9, landmarks within 1.5 px or 2 % of the face."""
    assert len(faces) == len(expected)
    for box, score, landmarks in expected:
        box, landmarks = np.array(box, np.float64), np.array(landmarks, np.float64)
        partner = max(faces, key=lambda face: overlap(face.box, box))
        assert overlap(partner.box, box) > 0.9
        distance = np.linalg.norm(partner.landmarks - landmarks, axis=1).max()
        assert distance < max(1.5, 0.02 * max(box[2:] - box[:2]))
        assert partner.score == pytest.approx(score, abs=0.01)


def ferplus_canvases(folder, count=20):
    """Aligned FERPlus test faces, enlarged, four on each grey 640×480 picture."""
    with (folder / "pose.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "FER2013Test"]
    rows = [row for row in rows if float(row["score"]) > 0.99]
    rows = rows[:: len(rows) // count][:count]
    canvases = []
    with zipfile.ZipFile(folder / "FER2013Test.zip") as archive:
        for index, row in enumerate(rows):
            if index % 4 == 0:
                canvases.append(np.full((480, 640, 3), 127, np.uint8))
            content = np.frombuffer(archive.read(f"FER2013Test/{row['image']}"), np.uint8)
            image = cv2.imdecode(content, cv2.IMREAD_COLOR)
            points = [[row[f"x_{name}"], row[f"y_{name}"]] for name in LANDMARK_COLUMNS]
            face = align(image, similarity_transform(np.array(points, np.float64)))
            side = (130, 150, 170, 200)[index % 4]
            x, y = 50 + 300 * (index % 2), 20 + 220 * (index % 4 // 2)
            canvases[-1][y : y + side, x : x + side] = cv2.resize(face, (side, side))
    return canvases


def test_agrees_with_facenet_pytorch_on_the_astronaut(detector, reference):
    image = astronaut()
    expected = reference(image)
    assert len(expected) == 1
    assert_same_faces(detector.detect(image), expected)


@pytest.mark.parametrize("degrees", [-25, 15])
def test_agrees_on_an_upscaled_turned_astronaut_at_the_border(detector, reference, degrees):
    turn = cv2.getRotationMatrix2D((225, 115), degrees, 2.2)
    turn[:, 2] += [-120, -10]
    image = cv2.warpAffine(astronaut(), turn, (640, 360))
    expected = reference(image)
    assert expected
    assert_same_faces(detector.detect(image), expected)


def test_agrees_on_twenty_ferplus_faces(detector, reference, shared_data):
    found = 0
    for canvas in ferplus_canvases(shared_data / "ferplus"):
        expected = reference(canvas)
        assert_same_faces(detector.detect(canvas), expected)
        found += len(expected)
    assert found >= 15


def test_agrees_on_the_street_clip(detector, reference, shared_data):
    video = cv2.VideoCapture(str(shared_data / "video" / "crowd_1080p.mp4"))
    found = 0
    for position in (0.1, 0.5, 0.9):
        video.set(cv2.CAP_PROP_POS_FRAMES, int(position * video.get(cv2.CAP_PROP_FRAME_COUNT)))
        readable, frame = video.read()
        assert readable
        image = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        expected = reference(image)
        assert_same_faces(detector.detect(image), expected)
        found += len(expected)
    assert found >= 3


def test_a_face_is_float32_with_its_eyes_above_its_mouth(detector):
    (face,) = detector.detect(astronaut())
    assert face.box.dtype == face.landmarks.dtype == np.float32
    assert face.box.shape == (4,) and face.landmarks.shape == (5, 2)
    assert 0.7 < face.score <= 1
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_eye[1] < nose[1] < left_mouth[1]
    assert left_mouth[0] < right_mouth[0]


def test_largest_first_and_at_most_max_faces():
    face = astronaut()[:256, 96:352]
    image = np.full((360, 640, 3), 90, np.uint8)
    image[:200, :200] = cv2.resize(face, (200, 200), interpolation=cv2.INTER_AREA)
    image[:256, 300:556] = face
    with Detector(device="cpu") as every, Detector(max_faces=1, device="cpu") as one:
        faces = every.detect(image)
        assert len(faces) == 2
        assert faces[0].box[0] > 300 > faces[1].box[0]
        (largest,) = one.detect(image)
    np.testing.assert_array_equal(largest.box, faces[0].box)


def test_the_same_face_for_any_memory_layout(detector):
    image = astronaut()
    (face,) = detector.detect(image)
    view = np.ascontiguousarray(image[:, :, ::-1])[:, :, ::-1]
    assert not view.flags.c_contiguous
    (same,) = detector.detect(view)
    np.testing.assert_array_equal(same.box, face.box)


@pytest.mark.parametrize(
    "shape",
    [(3, 3), (1, 1), (0, 5), (39, 39), (4, 2000), (2000, 4), (40, 40), (100, 41), (480, 640)],
)
def test_nothing_found_in_small_or_plain_images(detector, shape):
    assert detector.detect(np.full((*shape, 3), 120, np.uint8)) == []


def test_noise_does_not_raise(detector):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert isinstance(detector.detect(noise), list)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((64, 64), np.uint8), "H×W×3"),
        (np.zeros((64, 64, 4), np.uint8), "H×W×3"),
        (np.zeros((64, 64, 3), np.float32), "uint8 images, not float32"),
        ([[1, 2]], "uint8 images, not list"),
    ],
)
def test_other_arrays_are_a_clear_error(detector, image, message):
    with pytest.raises(ValueError, match=message):
        detector.detect(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face": 8}, "use 12 or more"),
        ({"max_faces": 0}, "use 1 or more"),
        ({"thresholds": (0.6, 0.7, 1.5)}, "between 0 and 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        Detector(**options)


@pytest.mark.parametrize(("fails", "closed"), [("mtcnn_rnet", 1), ("mtcnn_onet", 2)])
def test_a_detector_of_which_one_network_fails_closes_the_others(monkeypatch, fails, closed):
    opened = fake_sessions(monkeypatch, fails)
    with pytest.raises(EngineError):
        Detector()
    assert [session.closed for session in opened] == [True] * closed
