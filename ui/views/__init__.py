"""View models that a page and a terminal command both show: pure functions without Gradio."""
