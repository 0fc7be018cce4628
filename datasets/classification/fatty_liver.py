from ultrasam.cli.convert import run_description
from ultrasam.corpus import ClassificationSpec, ClassLists, Derived, Expected, MatlabRecords, Split

SPEC = ClassificationSpec(
    name='FattyLiver',
    title='Dataset of B-mode fatty liver ultrasound images',
    homepage='https://zenodo.org/records/1009146',
    licence='',
    citation='Byra M. et al., IJCARS 2018, 10.1007/s11548-018-1843-2',
    access='open',
    organs=('liver', 'kidney'),
    application='steatosis of at least 5 % of the liver cells by biopsy',
    # fields by their places: their names are not documented
    frames=MatlabRecords(
        'dataset_liver_bmodes_steatosis_assessment_IJCARS.mat',
        'data',
        values={'patient': 0, 'steatosis': 1, 'percent': 2},
        stack=3,
    ),
    derived=(Derived('pathology', of='{steatosis}', rules={'0': 'Normal', '1': 'NFLD'}),),
    subject='{patient}',
    series='patient_{patient}',
    label='{pathology}',
    classes=('Normal', 'NFLD'),
    lists=(
        ClassLists(
            Split(
                '{patient}',
                test=('3', '5', '12', '27', '31', '33', '34', '41', '44', '46', '47'),
                val=('7', '14', '35', '38', '49'),
            ),
            origin='by patient, as UltraBench 1.0.1 has it',
        ),
    ),
    noted={'steatosis_percent': '{percent}'},
    expected=Expected(images=550, subjects=55),
    notes=(
        'Ten frames a patient, nearly the same: a split by image leaks, and some published accuracies are of that '
        'kind or may be.',
        'Of the 11 patients that test three are normal: one that is wrong moves macro F1 by some ten points. Report '
        'figures over patients, too; always answering NFLD gives a macro F1 of 42.1 %.',
        'NFLD means NAFLD; the name is that of the public benchmark.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
