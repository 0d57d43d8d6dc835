# The source alone, by the code of DACS; with masked images of the source it is the supervised MIC.
_base_ = ['dacs.py']

uda = dict(source_only=True)
