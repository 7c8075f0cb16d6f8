"""ingestd: a log ingestion daemon for one Linux box. See docs/design.md for the picture."""

from importlib.metadata import version

__version__ = version("ingestd")
