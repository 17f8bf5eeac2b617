"""The one error that is the user's to mend."""

from __future__ import annotations


class UserError(Exception):
    """An option or the data on disk is not what it should be; the message, one line, says which
    piece and what to do. Commands print it and end with a code other than 0."""
