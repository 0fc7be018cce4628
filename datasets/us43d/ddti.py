from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='DDTI',
    title='DDTI: digital database of thyroid ultrasound images, version with masks',
    homepage='https://github.com/openmedlab/Awesome-Medical-Dataset/blob/main/resources/TN3K.md',
    licence='',
    citation='Pedraza L. et al., An open access thyroid ultrasound image database, 2015, 10.1117/12.2073532',
    access='open (within the TN3K archive)',
    downloads=(
        Download(
            file='TN3K.zip',
            urls=(
                'https://drive.usercontent.google.com/download?id=1reHyY5eTZ5uePXMVMzFOq5j3eFOSp50F&export=download&confirm=t',
            ),
            sha256='0ba1770076dab01b1f8fd661a227d80982168bc433de61c80fd266427b20cf60',
        ),
    ),
    organs=('thyroid',),
    application='nodules',
    categories=(Category('thyroid_nodule', 'nodule'),),
    archives=('TN3K.zip', 'DDTI.zip'),
    # one of three versions of the same images, the one of the published corpus
    frames=ImageFiles('2_preprocessed_data/stage1/p_image/{n}.PNG'),
    annotations=(MaskFiles('2_preprocessed_data/stage1/p_mask/{n}.PNG', Threshold(255, 'thyroid_nodule')),),
    stray_share=0.02,
    leave_out={
        '1_or_data/{_kind:image|mask}/*.PNG': 'the same images, not preprocessed',
        '2_preprocessed_data/stage2/{_kind:p_image|p_mask}/*.PNG': 'the same images, cropped',
        'category.csv': 'classes that the readme of the release calls forged',
        'tn3k/**': 'another data set of the archive',
        'tg3k/**': 'another data set of the archive',
    },
    expected=Expected(images=637),
    notes=('File names are running numbers: cases, which may have several images, are not named.',),
)

if __name__ == '__main__':
    run_description(__file__)
