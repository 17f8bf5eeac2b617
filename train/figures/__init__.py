"""One file a paper's figures. A new figure is a line here."""

FIGURES = {
    "faces": "train.figures.ipd_fer:Faces",
    "codes": "train.figures.joint_pose_expression:Codes",
    "tsne": "train.figures.ipd_fer:Tsne",
    "confusion": "train.figures.ipd_fer:Confusion",
    "pose": "train.figures.ipd_fer:Pose",
    "ablation": "train.figures.ipd_fer:Ablation",
    "fdrl-weights": "train.figures.fdrl:FdrlWeights",
    "fdrl-groups": "train.figures.fdrl:FdrlGroups",
    "tdgan-transfer": "train.figures.tdgan:TdganTransfer",
    "tdgan-expressions": "train.figures.tdgan:TdganExpressions",
    "tdgan-faces": "train.figures.tdgan:TdganFaces",
}
"""The commands of ``python -m train visualize``, as module:name."""
