"""A student of guidance and ensembles: its goal is what its teacher's edits come to, and it is used without them."""

import copy
from dataclasses import replace

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL

from recast.backbones.gen1 import Gen1Backbone
from recast.denoising import Branch
from recast.diffusion.ensemble import ensembled
from recast.diffusion.schedule import schedule
from recast.engine.config import BatchShard
from recast.engine.rng import row_rng, step_rng
from recast.errors import RequestError
from recast.model.metadata import ModelMetadata
from recast.networks.generator import Generator
from recast.recipes.distilled import DISTILLED
from recast.recipes.pocket.presets import POCKET_LEVELS
from recast.training.objectives import distillation
from recast.training.objectives.batches import Batches
from recast.training.objectives.diffusion import velocity
from recast.training.objectives.distillation import MEMBERS_STREAM, Distilled, distilled, visited_levels
from recast.training.run import trained_metadata
from recast.training.stages import Inputs
from recast.types import Condition
from small_presets import cached, small

LEVELS = schedule(POCKET_LEVELS)
BATCHES = Batches(images=8, clips=4, frames=2, cond_drop_prob=0.0)
CLIPS = next(step for step in range(9) if BATCHES.is_video(step_rng(0, step)))
"""A step that sees clips."""


def generator(seed: int = 0) -> Generator:
    """Random weights everywhere: new layers over time and structure channels start without effect."""
    stage, _ = small("pocket-video")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = stage.network(Inputs()).eval()
        for weight in network.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.1)
    return network.requires_grad_(False)


def own_loss(teacher: Generator, wanted: Distilled):
    """The loss of a student that still is its teacher."""
    return distilled(teacher, [cached(frames=2)], LEVELS, BATCHES, wanted)(teacher, BatchShard(CLIPS))


def test_a_teacher_without_guidance_and_ensemble_is_its_own_student():
    teacher = generator()
    assert own_loss(teacher, Distilled(guidance=1, ensemble=1)).mean.item() < 1e-9
    assert own_loss(teacher, Distilled(guidance=2, ensemble=1)).mean.item() > 1e-6
    assert own_loss(teacher, Distilled(guidance=1, ensemble=3)).mean.item() > 1e-6


def answers_of(teacher, wanted, monkeypatch):
    """What the loss asked the teacher, each with its noisy latents and the answer."""
    seen, truly = [], distillation.teacher_answer

    def kept(network, asked, noisy, *more):
        seen.append((asked, noisy, truly(network, asked, noisy, *more)))
        return seen[-1][2]

    with monkeypatch.context() as patch:
        patch.setattr(distillation, "teacher_answer", kept)
        own_loss(teacher, wanted)
    return seen


def test_the_goal_is_what_an_edit_by_guidance_and_an_ensemble_comes_to(monkeypatch):
    teacher, wanted = generator(), Distilled(guidance=2.5, ensemble=3, sampled=2)
    ((asked, noisy, goals),) = answers_of(teacher, wanted, monkeypatch)
    backbone = Gen1Backbone(net=teacher.net, vae=AutoencoderKL(), schedule=LEVELS, projection=teacher.projection)
    for row, goal in enumerate(goals):
        rng, null = row_rng(MEMBERS_STREAM, CLIPS, row), backbone.null_tokens()
        condition = Condition(teacher.projection(asked.batch.content[row][None])[0], null, asked.batch.structure[row])

        def guided(x, sigma, condition):
            with_content, without = backbone.denoise_branches(
                x, sigma, condition, [Branch(condition.cond), Branch(condition.uncond)]
            )
            return without + wanted.guidance * (with_content - without)

        def noise(like, _number, rng=rng):
            return torch.from_numpy(rng.standard_normal(tuple(like.shape), dtype="float32"))

        denoise = ensembled(guided, wanted.ensemble, noise)
        expected = denoise(noisy[row], float(LEVELS.sigmas[asked.level[row]]), condition)
        torch.testing.assert_close(goal, expected, rtol=1e-3, atol=1e-4)


def test_one_answer_stands_for_all_others_in_the_mean(monkeypatch):
    """Goals of two answers of an ensemble of four have the mean of those of all four."""
    teacher, ((asked, noisy, _),) = generator(), answers_of(generator(), Distilled(), monkeypatch)

    def goals(sampled, seed):
        rng = torch.Generator().manual_seed(seed)
        wanted = Distilled(guidance=1, ensemble=4, sampled=sampled)
        noises = (lambda like, _: torch.randn(like.shape, generator=rng),) * 40
        return torch.stack([distillation.teacher_answer(teacher, asked, noisy, wanted, noise) for noise in noises])

    two, four = goals(1, 0), goals(3, 1)
    error = (two.var(0) + four.var(0)) / len(two)
    assert ((two.mean(0) - four.mean(0)).square() / error).mean().item() == pytest.approx(1, abs=0.25)
    assert two.var(0).mean() > 2 * four.var(0).mean()


@pytest.mark.parametrize("steps", [1, 4, 25])
def test_levels_are_those_that_a_walk_visits(steps):
    visited = visited_levels(LEVELS, steps)
    assert LEVELS.sigmas[visited].tolist() == LEVELS.timestep_sigmas(steps)[:-1]
    assert {*LEVELS.sigmas[visited_levels(LEVELS, 4)].tolist()} < {*LEVELS.sigmas[visited_levels(LEVELS, 8)].tolist()}
    with pytest.raises(RequestError, match="sampling steps"):
        visited_levels(LEVELS, 2000)


def test_every_row_is_the_same_however_the_batch_is_divided():
    student = generator(1)
    loss = distilled(generator(), [cached(frames=2)], LEVELS, BATCHES, Distilled(ensemble=2))
    whole = loss(student, BatchShard(CLIPS))
    parts = [loss(student, BatchShard(CLIPS, part, 2)) for part in range(2)]
    rows = torch.stack([each.rows for each in parts], dim=1).flatten()
    torch.testing.assert_close(rows, whole.rows, rtol=1e-4, atol=1e-6)


def test_the_student_comes_nearer_and_the_teacher_stays():
    teacher = generator()
    before, student = copy.deepcopy(teacher.state_dict()), copy.deepcopy(teacher).requires_grad_(True)
    loss = distilled(teacher, [cached(frames=2)], LEVELS, BATCHES, Distilled(guidance=3, ensemble=2))
    optimizer, means = torch.optim.Adam(student.parameters(), 1e-3), []
    for _ in range(25):
        optimizer.zero_grad()
        mean = loss(student, BatchShard(CLIPS)).mean
        mean.backward()
        optimizer.step()
        means.append(mean.item())
    assert means[-1] < means[0] / 2
    assert all(torch.equal(weight, before[name]) for name, weight in teacher.state_dict().items())


def test_what_was_distilled_is_not_asked_for_again():
    stage = DISTILLED["distilled"].stage
    stage = replace(stage, wanted=Distilled(sampling_steps=3))
    usual = {"flowedit": {"steps": 8, "cfg": 2.0, "ensemble": 1, "strength": 0.5}, "tokenflow": {"steps": 12}}
    facts = trained_metadata(ModelMetadata(cfg_scale=1.5, ensemble=4, steps=25, method_defaults=usual), stage, 192)
    assert (facts.cfg_scale, facts.ensemble, facts.steps) == (1.0, 1, 3)
    assert facts.method_defaults == usual | {"flowedit": usual["flowedit"] | {"cfg": 1.0}}
    assert trained_metadata(ModelMetadata(steps=2), stage, 192).steps == 2


def test_rows_without_structure_learn_from_the_data_at_their_own_levels():
    """Of such rows alone the loss is the network's own, for a teacher that knows nothing."""
    batches = replace(BATCHES, structure_drop_prob=1.0, cond_drop_prob=0.3)
    student, sources = generator(1), [cached(frames=2)]
    ours = distilled(generator(), sources, LEVELS, batches, Distilled(ensemble=2))(student, BatchShard(CLIPS))
    plain = velocity(sources, LEVELS, batches)(student, BatchShard(CLIPS))
    torch.testing.assert_close(ours.rows, plain.rows, rtol=1e-4, atol=1e-6)
    assert torch.equal(ours.levels, plain.levels)
    mixed = distilled(generator(), sources, LEVELS, replace(batches, structure_drop_prob=0.5), Distilled(ensemble=2))
    found = mixed(student, BatchShard(CLIPS)).levels
    assert not torch.equal(found, plain.levels)


def test_what_was_trained_without_structure_says_so():
    stage = DISTILLED["distilled"].stage
    assert trained_metadata(ModelMetadata(), stage, 192).structure_optional
    never = replace(stage, batches=replace(stage.batches, structure_drop_prob=0.0))
    assert not trained_metadata(ModelMetadata(), never, 192).structure_optional
    assert trained_metadata(ModelMetadata(structure_optional=True), never, 192).structure_optional
