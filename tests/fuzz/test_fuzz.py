"""A slice of each corpus: no crash, no hang, no error of another's, no damage unsaid that the file declares."""

import judge
import pytest


@pytest.mark.parametrize(("corpus", "count"), [(judge.media, 40), (judge.folders, 4), (judge.lines, 12)])
def test_each_ends_in_one_of_the_ways_that_are_allowed(tmp_path, corpus, count):
    ended = list(corpus(count, 7, tmp_path))
    assert len(ended) >= count
    assert not [each for each in ended if each[0] not in judge.GOOD]


def test_a_corpus_is_the_same_for_the_same_seed():
    from media_files import mutants

    assert list(mutants(50, 3)) == list(mutants(50, 3))
    assert list(mutants(50, 3)) != list(mutants(50, 4))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("corpus", "count"), [(judge.media, 10_000), (judge.folders, 500), (judge.lines, 600)])
def test_the_whole_corpus(tmp_path, corpus, count):
    assert not [each for each in corpus(count, 0, tmp_path) if each[0] not in judge.GOOD]
