"""Low-rank products for layers of networks, and what they come to when they are added by hand."""

import torch

RANK, ALPHA = 2, 3.0


def drawn_for(network, paths, seed=0):
    """Two matrices of a low-rank product for each layer; of a convolution, the first has its kernel."""
    rng, parts = torch.Generator().manual_seed(seed), {}
    for path in paths:
        rows, *columns = network.get_parameter(f"{path}.weight").shape
        down = torch.randn(RANK, *columns, generator=rng)
        up = torch.randn(rows, RANK, *(1 for _ in columns[1:]), generator=rng)
        parts[path] = (0.1 * down, 0.1 * up)
    return parts


def changed(network, parts, scale):
    """The weights with low-rank products added by hand."""
    with torch.no_grad():
        return {
            path: network.get_parameter(f"{path}.weight")
            + scale * (up.flatten(1) @ down.flatten(1)).view_as(network.get_parameter(f"{path}.weight"))
            for path, (down, up) in parts.items()
        }


def weights(network, paths):
    return {path: network.get_parameter(f"{path}.weight").detach() for path in paths}
