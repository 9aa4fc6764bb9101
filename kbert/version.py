"""The version of this package, as setup.cfg states it."""

__version__ = "0.1.0"
