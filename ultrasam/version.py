"""The version of the package, which files that it writes tell."""

__version__ = '0.1.0'
