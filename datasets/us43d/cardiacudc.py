from dataclasses import replace

from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Item, LabelVolumes, RawFrame, Values, VolumeFiles

NAMES = {
    1: 'left_ventricle',
    2: 'left_atrium',
    3: 'right_Atrium',
    4: 'right_ventricle',
    5: 'epicardium',
    6: 'left_ventricle2',
}


def fill_contours(frame: RawFrame, item: Item) -> RawFrame:
    """Fill drawn contours.

    What a contour encloses belongs to it where nothing else is marked; of nested contours to the inner one.
    """
    import numpy as np
    from scipy import ndimage

    if item.groups['site'] != 'label_all_frame' or not frame.structures:
        return frame
    filled = [one.mask for one in frame.structures]
    enclosed = [ndimage.binary_fill_holes(mask) for mask in filled]
    free = ~np.any(filled, axis=0)
    for number in sorted(range(len(filled)), key=lambda k: int(enclosed[k].sum())):
        filled[number] = filled[number] | (enclosed[number] & free)
        free &= ~enclosed[number]
    pairs = zip(frame.structures, filled, strict=True)
    return replace(frame, structures=tuple(replace(one, mask=mask) for one, mask in pairs))


SPEC = DatasetSpec(
    name='cardiacUDC',
    title='CardiacUDC: echo videos of two hospitals, apical four-chamber view',
    homepage='https://www.kaggle.com/datasets/xiaoweixumedicalai/cardiacudc-dataset',
    licence='Apache-2.0 (as reported from the download page)',
    citation='Yang J. et al., GraphEcho, ICCV 2023, arXiv:2309.11145',
    access='login',
    organs=('heart',),
    application='chambers of the heart',
    categories=tuple(Category(name, 'cardiac') for name in NAMES.values()),
    archives=('archive.zip', '*ardiac*.zip', 'cardiacUDC_dataset.change2zip'),
    # numbers of patients restart in each site
    frames=VolumeFiles(
        r'{site:Site_[GR]_\d+|label_all_frame}/{patient:(?:normal|patient)-\d+}{view:-\d+}_image.nii.gz'
    ),
    annotations=(
        LabelVolumes(
            r'{site:Site_[GR]_\d+|label_all_frame}/{patient:(?:normal|patient)-\d+}{view:-\d+}_label.nii.gz',
            Values(NAMES),
        ),
    ),
    adjust=fill_contours,
    subject='{site}/{patient}',
    series='{patient}{view}__{site}',
    empty='skip',
    # such marks are slips
    min_marked=0.025,
    turn='half',
    leave_out={'Site_R_73/*_image.nii.gz': 'a site without labels'},
    notes=(
        'A frame with less than 2.5 % of its pixels marked is left out and counted: such marks are slips.',
        'Labels of label_all_frame are drawn as contours, which are filled. It may show patients of the sites again, '
        'and some of its files are said to use other label values.',
        'What labels 5 and 6 mean is not documented; left_ventricle2 may be the right ventricle.',
        'That half a turn puts the frames upright was not checked against the release.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
