"""f_exp in two dimensions (IPD-FER, Figure 10)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from train.data.find_faces import FaceFinder
from train.data.pictures import SUFFIXES, aligned_face, read_picture
from train.errors import UserError
from train.runs.load import load_model

BATCH = 128
PERPLEXITY = 30
"""t-SNE's number of neighbours that count, scikit-learn's default; fewer for very few faces."""


@dataclass(frozen=True)
class Embedding:
    """points: (n, 2). labels: n strings, of the kind that `what` names: expression or person.
    silhouette: of f_exp itself by these labels, -1 to 1; the higher, the tighter they cluster."""

    title: str
    what: str
    points: np.ndarray
    labels: np.ndarray
    silhouette: float


@torch.inference_mode()
def expression_features(run: Path, faces: np.ndarray) -> np.ndarray:
    """f_exp, float32 (n, d), that the best epoch of a run finds in aligned faces, uint8
    (n, 112, 112, 1 or 3)."""
    model, _ = load_model(run)
    features = []
    for start in range(0, len(faces), BATCH):
        pixels = model.expression_input(torch.from_numpy(faces[start : start + BATCH]))
        features.append(model.expression.describe(pixels)[0].numpy())
    return np.concatenate(features)


def embed(title: str, what: str, features: np.ndarray, labels: np.ndarray, seed: int) -> Embedding:
    """t-SNE (van der Maaten and Hinton 2008) of features (n, d), by cosine distance.

    UserError where there are too few faces, or none of a second label.
    """
    # Here, since loading them takes a second that not every figure has to wait for.
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_score

    kinds = len(np.unique(labels))
    if not 1 < kinds < len(labels):
        raise UserError(
            f"t-SNE by {what} needs at least two of them, and several faces of some: there are "
            f"{len(labels)} faces of {kinds}."
        )
    perplexity = min(PERPLEXITY, (len(labels) - 1) / 3)
    tsne = TSNE(metric="cosine", init="pca", perplexity=perplexity, random_state=seed)
    silhouette = float(silhouette_score(features, labels, metric="cosine"))
    return Embedding(title, what, tsne.fit_transform(features), labels, silhouette)


def read_people(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Aligned faces, uint8 (n, 112, 112, 3) RGB, and the names of their n folders, one a person.

    Pictures without a face that MTCNN finds are left out; UserError where none is left.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder.")
    finder, faces, people, missed = FaceFinder(), [], [], 0
    for path in sorted(folder.glob("*/*")):
        if path.suffix.lower() in SUFFIXES:
            picture = read_picture(path, grey=False)
            points = finder.landmarks(picture)
            if points is None:
                missed += 1
                continue
            faces.append(aligned_face(picture, points)[0])
            people.append(path.parent.name)
    if not faces:
        raise UserError(f"{folder} has no pictures of faces in a folder for each person.")
    print(f"{folder}: {len(faces)} faces of {len(set(people))} people; none found in {missed}.")
    return np.stack(faces), np.array(people)
