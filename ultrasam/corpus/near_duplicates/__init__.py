"""Images of a corpus that show the same frame: found by perceptual hash, confirmed on the speckle, reported, dropped.

Frames of different patients look alike to a coarse hash (the same sector, the same overlay), so a hash only proposes
pairs, and the pixels decide. Proposals: bands of 256-bit hashes of 22 crops of the local contrast
(:mod:`~ultrasam.corpus.near_duplicates.hashes`, :mod:`~ultrasam.corpus.near_duplicates.candidates`). Decision: one
frame is registered to the other, and fine detail must correlate block by block
(:mod:`~ultrasam.corpus.near_duplicates.confirmation`).

Measured on 60 simulated frames of 360 pixels, each copied in 16 ways (``benchmarks/near_duplicates.py``): 954 of 960
copies found. All of those re-encoded as JPEG 90 and 50, resized to 0.5, 0.73 and 1.5, cropped by 2 and 5 %, mirrored,
with a black border, as RGB; 59 of 60 cropped by 10 %, darker, or with calipers; 58 of 60 brighter. No false alarm
among 121,380 pairs of other scenes, nor among 60 pairs of one scene by one machine with other speckle.
"""

from __future__ import annotations
