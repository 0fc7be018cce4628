"""Lists of images and their classes at 1024 px: POCUS, no patient or recording in two of them."""

_base_ = './downstream_classification_pocus.py'

train_dataloader = dict(dataset=dict(ann_file='POCUS/annotations/train_by_patient.txt'))
val_dataloader = dict(dataset=dict(ann_file='POCUS/annotations/val_classification_by_patient.txt'))
test_dataloader = dict(dataset=dict(ann_file='POCUS/annotations/test_classification_by_patient.txt'))
