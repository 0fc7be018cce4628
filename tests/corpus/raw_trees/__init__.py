"""Small raw trees with the folder layout and encodings of each release, made from known masks."""
