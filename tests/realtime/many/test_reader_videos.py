from realtime import FaceReader
from tests.realtime.many.corpora import about, files


def test_a_reader_reads_videos_as_it_reads_one(corpus, tmp_path):
    """Its options go along: the files say so."""
    with FaceReader(smoothing=0.5, max_faces=1, precision="fp32") as reader:
        report = reader.videos([corpus / "face.mp4"], tmp_path / "faces", workers=1)
    assert (report.videos, report.read, report.failed) == (1, 1, 0)
    (file,) = (tmp_path / "faces").glob("**/*.parquet")
    assert files(tmp_path / "faces").keys() == {file.name}
    options = about(file)["options"]
    assert (options["smoothing"], options["max_faces"], options["precision"]) == (0.5, 1, "fp32")
