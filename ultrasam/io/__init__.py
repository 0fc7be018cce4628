"""Pixels in and results out: readers of images, DICOM, volumes and videos; writers of masks and tables."""
