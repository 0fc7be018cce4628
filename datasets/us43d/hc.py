from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Outline

SPEC = DatasetSpec(
    name='HC',
    title='HC18: automated measurement of fetal head circumference',
    homepage='https://hc18.grand-challenge.org/',
    licence='CC BY 4.0',
    citation='van den Heuvel T. L. A. et al., PLoS ONE 2018, 13(8):e0200412',
    access='open',
    organs=('fetus',),
    application='head circumference',
    categories=(Category('fetal_head', 'fetal_head'),),
    archives=('HC.zip', 'training_set.zip', 'test_set.zip'),
    frames=ImageFiles(r'training_set/{exam:\d+}_{repeat:\d*}HC.png'),
    # only the outline of the head is drawn; where it leaves the image, the border closes it
    annotations=(MaskFiles(r'training_set/{exam:\d+}_{repeat:\d*}HC_Annotation.png', Outline('fetal_head')),),
    subject='{exam}',
    leave_out={
        'test_set/*.png': 'test images, whose masks are not public',
        '*_pixel_size*.csv': 'pixel sizes and circumferences',
    },
    expected=Expected(images=999),
    notes=('Images of an exam share their first number; a woman may still have two exams.',),
)

if __name__ == '__main__':
    run_description(__file__)
