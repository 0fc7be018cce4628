"""Raw trees of the sets of classified images, small, in the layout and the encodings of the releases."""
