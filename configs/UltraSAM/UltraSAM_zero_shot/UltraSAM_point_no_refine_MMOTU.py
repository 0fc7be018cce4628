"""UltraSam without refinement that never saw an ovary, tested on MMOTU-2D with a point prompt."""

_base_ = './UltraSAM_point_refine_MMOTU.py'

model = dict(num_refinements=0)
