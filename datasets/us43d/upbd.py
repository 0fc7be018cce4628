from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, PolygonFiles

SPEC = DatasetSpec(
    name='UBPD',
    title='UBPD: ultrasound brachial plexus dataset',
    homepage='https://ubpd.worldwidetracing.com:9443/',
    licence='',
    citation='Ding Y. et al., arXiv:2012.12012',
    access='project homepage',
    organs=('nerve', 'vessel', 'muscle'),
    application='brachial plexus and what lies around it',
    categories=(
        Category('artery', 'vessel'),
        Category('vein', 'vessel'),
        Category('muscle', 'muscle'),
        Category('nerve', 'nerve'),
        Category('fat', 'fat'),
        Category('spine', 'bone'),
    ),
    # most names have two numbers, a few three; the first is the patient
    # a copy has images/ and labels/json_train/
    frames=ImageFiles(r'{_folder:JPEGImages|images}/{patient:\d+}_{frame:[\d_]+}.jpg'),
    annotations=(
        PolygonFiles(
            r'json_train/{patient:\d+}_{frame:[\d_]+}.json',
            'labelme',
            names={
                'dongmai': 'artery',
                'jingmai': 'vein',
                'jirouzuzhi': 'muscle',
                'shenjing': 'nerve',
                'zhifang': 'fat',
                'jizhu': 'spine',
            },
            # some files hold Chinese paths as GBK
            encodings=('utf-8-sig', 'gbk'),
        ),
    ),
    subject='{patient}',
    expected=Expected(images=955, subjects=88),
    notes=(
        'Counts are those of a copy, which may differ from the download of the homepage.',
        'Only the training part is known.',
        'Fat is marked in one image of that copy, spine in 16: no split by patients has both everywhere.',
        'Polygons of an image overlap in half of the images; each stays whole.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
