"""UltraSam without refinement that never saw the digestive tract, tested on GIST514-DB with a point prompt."""

_base_ = './UltraSAM_point_refine_GIST514.py'

model = dict(num_refinements=0)
