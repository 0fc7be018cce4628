"""Pages to look at a corpus, and at predictions beside the truth: HTML that opens from disk, without a server.

``outlines`` turns masks into paths, ``thumbnails`` shrinks images, ``matching`` pairs predictions with objects, and
``folder`` keeps what a gallery holds. ``corpus_pages`` and ``prediction_pages`` make the two galleries out of these;
``page/`` holds their HTML, styles and scripts.
"""

from ultrasam.corpus.gallery.corpus_pages import CorpusGalleryReport, write_corpus_gallery
from ultrasam.corpus.gallery.prediction_pages import PredictionGalleryReport, write_prediction_gallery

__all__ = [
    'CorpusGalleryReport',
    'PredictionGalleryReport',
    'write_corpus_gallery',
    'write_prediction_gallery',
]
