"""Motion alignment: whether an edit moves as its source does."""

from recast.conditions.flow import Flow


def end_point_error(flow: Flow, other: Flow) -> float:
    """The mean distance, in px, of where two flows of one size point; 0 for equal ones.

    V2VBench's motion alignment is this with the other sign, on flows of GMFlow between neighbouring frames.
    """
    return float((flow - other).square().sum(dim=1).sqrt().mean())
