"""Lists of images and their classes: of data sets for classifiers, and of the corpus."""
