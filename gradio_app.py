"""``python gradio_app.py``: the web page; ``ipd-fer-web`` is the same where pip installed it."""

import sys

from realtime.web.command import main

if __name__ == "__main__":
    sys.exit(main())
