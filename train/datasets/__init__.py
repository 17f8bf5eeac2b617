"""One file a data set: its reader, and the command that prepares it. A new one is a line here."""

PREPARE = {
    "ferplus": "train.datasets.ferplus:PrepareFerplus",
    "rafdb": "train.datasets.rafdb:PrepareRafdb",
    "affectnet": "train.datasets.affectnet:PrepareAffectnet",
    "sfew": "train.datasets.sfew:PrepareSfew",
    "london": "train.datasets.london:PrepareLondon",
    "ckplus": "train.datasets.ckplus:PrepareCkplus",
    "folders": "train.datasets.folders:PrepareFolders",
    "people": "train.datasets.people:PreparePeople",
    "unlabelled": "train.datasets.unlabelled:PrepareUnlabelled",
    "join": "train.datasets.join:PrepareJoin",
}
"""The commands of ``python -m train prepare``, as module:name."""
