"""The browser app's parts; the only place in ``synth`` that imports gradio, and not imported by ``import synth``."""
