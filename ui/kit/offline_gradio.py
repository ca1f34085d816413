"""Gradio, imported with its requests to other hosts switched off.

Gradio contacts its makers while it is imported unless the environment forbids it. So the pages
import `gr` from here, and nothing in this package imports `gradio` itself.
"""

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr

__all__ = ["gr"]
