from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Table, Values

SPEC = DatasetSpec(
    name='TNSCUI',
    title='TN-SCUI 2020: thyroid nodule segmentation and classification in ultrasound images',
    homepage='https://github.com/openmedlab/Awesome-Medical-Dataset/blob/main/resources/TN-SCUI2020.md',
    licence='terms of the challenge (must not be passed on)',
    citation='Zhou J. et al., TN-SCUI2020, Zenodo, 10.5281/zenodo.3715942',
    access='registration',
    organs=('thyroid',),
    application='nodules, benign or malignant',
    categories=(Category('thyroid_nodule', 'nodule'),),
    archives=('TNSCUI2020*.zip', 'tnscui.tar.gz'),
    # folders of the release, or those of the published corpus, which packed it anew
    frames=ImageFiles('{_folder:image|JPEGImages}/{id}.{suffix:png|PNG|jpg}'),
    annotations=(
        MaskFiles(
            '{_folder:mask|SegmentationClass}/{id}.{_suffix:png|PNG}',
            # 255 in the release, 1 where it was packed anew
            Values({1: 'thyroid_nodule', 255: 'thyroid_nodule'}),
        ),
    ),
    # not every copy has it, and copies that were packed anew may name other files than it does
    tables=(
        Table(
            'train.csv',
            on={'ID': '{id}.{suffix}'},
            take={'pathology': 'CATE'},
            absent='empty',
            missing='empty',
        ),
    ),
    translate={'pathology': {'0': 'benign', '1': 'malignant', '': ''}},
    subject='{id}',
    label='{pathology}',
    classes=('benign', 'malignant'),
    leave_out={'TNSCUI2020_test/**': 'test images, whose masks are not public'},
    expected=Expected(images=3644),
    notes=(
        'One image an id, which may be a patient. Images carry marks of the reader and black borders.',
        'Benign or malignant is in train.csv, which not every copy has; images of unknown class are in no list for '
        'classifiers.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
