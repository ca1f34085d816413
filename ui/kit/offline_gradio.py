"""Gradio, imported without its requests to other hosts, and without its files for editors.

Gradio contacts its makers while it is imported unless the environment forbids it. So the pages
import `gr` from here, and nothing in this package imports `gradio` itself.
"""

import inspect
import os
from unittest.mock import patch

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

# For each of its components, Gradio parses its own source and brings a stub file for editors up to
# date: more than half of the four seconds that its import took. It leaves out a component whose
# source is in no file (gradio/component_meta.py, `create_or_modify_pyi`).
with patch.object(inspect, "getfile", side_effect=FileNotFoundError):
    import gradio as gr

__all__ = ["gr"]
