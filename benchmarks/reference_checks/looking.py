"""Networks that measure edits beside the code that published their weights: random weights, random pictures."""

from collections import namedtuple
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from benchmarks.reference_checks.published import Check, Published, gap
from safetensors.torch import save_file
from torch import Tensor, nn

from recast.conditions.inception import InceptionNetwork
from recast.conditions.perceptual import PerceptualDistance
from recast.networks.inception import FIDInception
from recast.types import Frames

BLOCKS = ("BasicConv2d", "InceptionA", "InceptionB", "InceptionC", "InceptionD", "InceptionE_1", "InceptionE_2")
CPU = torch.device("cpu")


def shown(rows: int, columns: int, seed: int = 4) -> Frames:
    """Two random pictures."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(256, (2, 3, rows, columns), generator=rng).to(torch.uint8)


def spread(network: nn.Module) -> nn.Module:
    """Random weights that keep what passes through at about one size, and random batch norms."""
    rng = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.normal_(0, (2 / module.weight[0].numel()) ** 0.5, generator=rng)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2, generator=rng)
            module.running_var.uniform_(0.5, 1.5, generator=rng)
    return network.eval()


def read_back(network: nn.Module, config: str, opened: Callable[[str, torch.device], Any]) -> Any:  # noqa: ANN401 -- any
    """Ours, from a folder with the weights of the published network under its names."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(config)
        held = {name: weight.clone() for name, weight in network.state_dict().items()}
        save_file(held, Path(folder) / "model.safetensors")
        return opened(folder, CPU)


def inception_of_fidelity(source: Published) -> float:
    """Features of pictures of the network's own size, and what the inception score reads."""

    def initialized(module: nn.Module, _name: str, wanted: list[str]) -> None:
        nn.Module.__init__(module)
        module.features_list = wanted

    given: dict[str, Any] = {"FeatureExtractorBase": type("Base", (nn.Module,), {"__init__": initialized})}
    given |= {"vassert": lambda *_: None, "text_to_dtype": lambda *_: torch.float32, "get_kwarg": lambda *_: False}
    given |= {"redirect_stdout": nullcontext, "sys": SimpleNamespace(stderr=None), "URL_INCEPTION_V3": ""}
    given |= {"load_state_dict_from_url": lambda *_, **_unused: {}}
    given |= {"interpolate_bilinear_2d_like_tensorflow1x": lambda x, **_: x}
    name, changed = "FeatureExtractorInceptionV3", {"self.load_state_dict(state_dict)": "pass"}
    kind = getattr(source.load(*BLOCKS, name, changed=changed, **given), name)
    published = spread(kind("", ["2048", "logits_unbiased"]))
    ours = read_back(published, '{"_class_name": "FIDInception"}', InceptionNetwork.opened)
    pictures = shown(299, 299)
    features, logits = published(pictures)
    own = ours.network((pictures.float() - 128) / 128)
    return max(gap(own, features), gap(ours.network.logits(own), logits))


def pictures_of_fid(source: Published) -> float:
    """What pytorch-fid makes of pictures before the network, which is ours on both sides."""
    network = spread(FIDInception())
    held = SimpleNamespace(resize_input=True, normalize_input=True, blocks=[network], output_blocks=[0])
    held.last_needed_block = 0
    forward = partial(source.load("InceptionV3.forward").forward, held)
    ours = InceptionNetwork("", network, CPU)
    sizes = ((120, 200), (400, 330))
    theirs = [forward(shown(*size).float() / 255)[0] for size in sizes]
    return gap(torch.cat([ours.features(shown(*size)) for size in sizes]), torch.cat(theirs))


class Fire(nn.Module):
    """SqueezeNet's module, as torchvision names its parts."""

    def __init__(self, channels: int, fewer: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, fewer, 1)
        self.expand1x1 = nn.Conv2d(fewer, width, 1)
        self.expand3x3 = nn.Conv2d(fewer, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Both kernels' channels."""
        held = self.squeeze(x).relu()
        return torch.cat((self.expand1x1(held).relu(), self.expand3x3(held).relu()), 1)


def alexnet() -> list[nn.Module]:
    """The layers of torchvision's."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)]
    layers += [nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1)]
    layers += [nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()]
    return layers


def vgg16() -> list[nn.Module]:
    """The layers of torchvision's, up to the last rectifier."""
    layers: list[nn.Module] = []
    read = 3
    for width in (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512):
        layers += [nn.Conv2d(read, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2, 2)]
        read = width or read
    return layers


def squeezenet1_1() -> list[nn.Module]:
    """The layers of torchvision's."""
    pool = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool(), Fire(64, 16, 64), Fire(128, 16, 64), pool()]
    layers += [Fire(128, 32, 128), Fire(256, 32, 128), pool(), Fire(256, 48, 192), Fire(384, 48, 192)]
    return [*layers, Fire(384, 64, 256), Fire(512, 64, 256)]


def lpips_of(net: str, trunk: str, layers: Callable[[], list[nn.Module]], source: Published) -> float:
    """The authors' distance by one of their networks."""
    nets = Published(source.repository, "lpips/pretrained_networks.py")
    models = SimpleNamespace(**{trunk: lambda **_: SimpleNamespace(features=layers())})
    name = {"squeezenet1_1": "squeezenet"}.get(trunk, trunk)
    kind = getattr(nets.load(name, namedtuple=namedtuple, tv=models), name)
    unit = Published(source.repository, "lpips/__init__.py").load("normalize_tensor").normalize_tensor
    given = {"pn": SimpleNamespace(**{name: kind}), "lpips": SimpleNamespace(normalize_tensor=unit)}
    parts = ("spatial_average", "ScalingLayer", "NetLinLayer", "LPIPS")
    published = spread(source.load(*parts, **given).LPIPS(pretrained=False, net=net, verbose=False, pnet_rand=True))
    for each in published.lins:
        each.model[1].weight.abs_()
    ours = read_back(published, f'{{"_class_name": "LPIPS", "net": "{net}"}}', PerceptualDistance.opened)
    frames, others = shown(70, 90), shown(70, 90, seed=5)
    theirs = published(*(each.float() / 127.5 - 1 for each in (frames, others))).flatten()
    return gap(ours(frames, others), theirs)


LPIPS, FID = "richzhang/PerceptualSimilarity", "FID's network"
CHECKS = (
    Check(
        FID,
        "toshas/torch-fidelity",
        "torch_fidelity/feature_extractor_inceptionv3.py",
        "FeatureExtractorInceptionV3 / FIDInception, features and logits",
        inception_of_fidelity,
        "resizing as in TensorFlow 1, and pixels less 128 by 128, there",
    ),
    Check(
        FID,
        "mseitzer/pytorch-fid",
        "src/pytorch_fid/inception.py",
        "InceptionV3.forward, before its blocks / InceptionNetwork",
        pictures_of_fid,
    ),
    *(
        Check(
            "metric lpips",
            LPIPS,
            "lpips/lpips.py",
            f"LPIPS, {net} / PerceptualDistance",
            partial(lpips_of, net, trunk, layers),
            bound=1e-6,
        )
        for net, trunk, layers in (
            ("alex", "alexnet", alexnet),
            ("vgg", "vgg16", vgg16),
            ("squeeze", "squeezenet1_1", squeezenet1_1),
        )
    ),
)
