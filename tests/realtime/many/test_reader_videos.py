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


def test_a_reader_that_shares_networks_reads_videos_with_the_others_options(corpus, tmp_path):
    with FaceReader(precision="fp32") as first, FaceReader(share=first, max_faces=2) as second:
        second.videos([corpus / "face.mp4"], tmp_path / "faces", workers=1)
    (file,) = (tmp_path / "faces").glob("**/*.parquet")
    options = about(file)["options"]
    assert (options["precision"], options["max_faces"]) == ("fp32", 2)
