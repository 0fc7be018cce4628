from ultrasam.cli.convert import run_description
from ultrasam.corpus import ClassificationSpec, ClassLists, Expected, ImageFiles, Split

SPEC = ClassificationSpec(
    name='Butterfly',
    title='Butterfly Network ultrasound data set of the MIT Grand Hack 2018',
    homepage='https://github.com/ButterflyNetwork/MITGrandHack2018',
    licence='restricted to the MIT Grand Hack 2018',
    terms='By the terms of its owner the data may be used for the MIT Grand Hack 2018 and for no other purpose, and '
    'images of it may not be published again without permission in writing. Unless you have such a permission, you '
    'may not use it.',
    terms_link='https://github.com/ButterflyNetwork/MITGrandHack2018',
    citation='Butterfly Network, MITGrandHack2018, 2018 (no paper)',
    access='restricted',
    organs=('neck', 'heart', 'lung', 'abdomen'),
    application='which of nine regions and views is shown',
    archives=('butterfly_dataset_*.tar.gz',),
    frames=ImageFiles(r'{part:training[^/]*|test}/{patient:\d+}/{view}/{file}.png'),
    subject='{patient}',
    series='{patient}_{view}',
    label='{view}',
    classes=('carotid', '2ch', 'lungs', 'ivc', '4ch', 'bladder', 'thyroid', 'plax', 'morisons_pouch'),
    lists=(
        ClassLists(
            Split(
                '{part}/{patient}',
                test=('test/*',),
                val=('train*/1', 'train*/9', 'train*/12', 'train*/17', 'train*/24'),
                train=('train*',),
            ),
            origin='test patients as published; those that validate as UltraBench 1.0.1 has them',
        ),
    ),
    expected=Expected(images=41076, subjects=31),
    notes=(
        'Frames of clips: those of a patient are nearly the same. Six patients test: report an interval over patients.',
        'The order of the classes is that of UltraBench; the example of the event has another one.',
        'Always answering one class gives a macro F1 of 3.0 %.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
