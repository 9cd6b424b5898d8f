"""Which edits of which worlds an evaluation is made of."""

from recast.evaluation.suite import edits, world_tasks


def test_temporal_guidance_adds_its_values_once_for_each_number_of_steps():
    tried = edits([0, 4], temporal=True)
    assert len(tried) == len(set(tried)) == 2 + 1 + 2 + 4
    assert {trial.temporal_guidance for trial in tried if trial.detail == 0} == {0, 0.5, 1, 1.5, 2}
    assert edits([], temporal=True) == ()
    swept = [trial for trial in edits([0], temporal=True, steps=[4, 12, 25]) if trial.is_swept]
    assert len(swept) == 3 * 5
    assert {trial.steps for trial in swept} == {4, 12, 25}


def test_the_first_number_moves_all_worlds():
    assert {task.of for task in world_tasks(2, 1000)} == {"1000", "1001"}
    assert world_tasks(2, 0)[1] == world_tasks(2, 1)[0]
