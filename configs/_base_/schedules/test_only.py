"""For models that are tested as others trained them."""

train_cfg = None
optim_wrapper = None
param_scheduler = None
val_cfg = None
test_cfg = dict(type='TestLoop')
