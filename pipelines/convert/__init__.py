"""A finished export in the layout of another trainer: BAGEL, Energon, LLaVA, Hugging Face, Emu3.5."""

from thresher.pipelines.convert.run import LAYOUTS, Conversion, convert

__all__ = ["LAYOUTS", "Conversion", "convert"]
