"""The command line. Every command is a thin function over the rooms that do the work."""

from thresher.pipelines.cli.main import main

__all__ = ["main"]
