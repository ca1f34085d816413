"""The status page.

Gradio calls home while it is imported unless it is told not to, so it is told here, before
any module of this package can import it.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
