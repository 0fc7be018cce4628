"""UltraSam without refinement that never saw a breast, tested on BUS-BRA with a point prompt."""

_base_ = './UltraSAM_point_refine_BUSBRA.py'

model = dict(num_refinements=0)
