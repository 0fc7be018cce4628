"""Fetching files from the web: resumed, verified, published only when whole. Loads no deep-learning library."""

from ultrasam.downloads.fetch import Fetched, fetch_weights
from ultrasam.downloads.integrity import DownloadError, ExpectedFile, IntegrityError
from ultrasam.downloads.known_weights import KnownWeights, list_weights, select_weights

__all__ = [
    'DownloadError',
    'ExpectedFile',
    'Fetched',
    'IntegrityError',
    'KnownWeights',
    'fetch_weights',
    'list_weights',
    'select_weights',
]
