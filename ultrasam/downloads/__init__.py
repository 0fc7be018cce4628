"""Fetching files from the web: resumed, verified, published only when whole. Loads no deep-learning library.

``download`` says where a file of a dataset is, ``known_weights`` the same for weights, ``fetch`` has one file in its
place, ``release`` all files of a dataset. Descriptions of datasets import this package, so it loads nothing by itself.
"""
