"""The web page: the pipeline of this package behind a browser."""

import os

# Read by Gradio and by Hugging Face's hub that comes with it when they are imported. Each would
# tell its makers of its use; this page tells nobody.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
