"""Facts about the data sets that tools on a whole corpus need: the organ, and which of them are one release."""

from __future__ import annotations

# By the name of a data set. A structure that several organs share a view with counts for each of them.
ORGANS: dict[str, tuple[str, ...]] = {
    '105US': ('liver',),
    'ACOUSLIC': ('fetus',),
    'ASUS': ('spine',),
    'AUL': ('liver',),
    'AbdomenUS': ('liver', 'kidney', 'pancreas', 'vessel', 'adrenal', 'gallbladder', 'bone', 'spleen'),
    'BUID': ('breast',),
    'BUS': ('breast',),
    'BUS-UCLM': ('breast',),
    'BUSBRA': ('breast',),
    'BUSI': ('breast',),
    'BUS_UC': ('breast',),
    'BrEaST-Lesions_USG-images_and_masks-Dec-15-2023': ('breast',),
    'CAMUS': ('heart',),
    'Common Carotid Artery Ultrasound Images': ('vessel',),
    'DDTI': ('thyroid',),
    'EchoCP2': ('heart',),
    'EchoNet-Dynamic': ('heart',),
    'FALLMUD': ('muscle',),
    'FASS': ('fetus',),
    'FH-PS-AOP': ('fetus', 'pelvis'),
    'Fast-U-Net': ('fetus',),
    'GIST514-DB': ('digestive tract',),
    'HC': ('fetus',),
    'LUSS_phantom': ('lung',),
    'MMOTU_2d': ('ovary',),
    'MMOTU_3d': ('ovary',),
    'MUP': ('prostate',),
    'MicroSeg': ('prostate',),
    'S1': ('breast',),
    'STMUS_NDA': ('muscle',),
    'STU-Hospital': ('breast',),
    'TG3K': ('thyroid',),
    'TN3K': ('thyroid',),
    'TNSCUI': ('thyroid',),
    'UBPD': ('nerve', 'vessel', 'muscle'),
    'brachial_plexus': ('nerve',),
    'cardiacUDC': ('heart',),
    'echonetpediatric': ('heart',),
    'kidneyUS': ('kidney',),
    'regPro': ('prostate',),
    'segthy-dataset': ('thyroid', 'vessel'),
    'thyroidultrasoundcineclip': ('thyroid',),
    'ultrasound-nerve-segmentation': ('nerve',),
}

# Data sets that name the same patients: their subjects are one set.
SAME_PATIENTS: dict[str, str] = {'MUP': 'MicroSeg'}


def release_of(dataset: str) -> str:
    """The name under which the subjects of a data set are known; that of another where both are one release."""
    return SAME_PATIENTS.get(dataset, dataset)
