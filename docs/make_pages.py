"""Puts together what the site is built from: the documents of the tree, and pages made of docstrings and fields.

    python docs/make_pages.py FOLDER

writes FOLDER/mkdocs.yml and FOLDER/docs, of which Zensical makes FOLDER/site (`make docs`).
"""

import inspect
import json
import re
import shutil
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
LINKED = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")
ARXIV = re.compile(r"(?<![\[/])arXiv:(\d{4}\.\d{4,5})(?![\]\d])")
NOTEBOOKS = ROOT / "docs" / "notebooks"
ALSO = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Documents beside docs/ that are pages too."""


def main(folder: Path) -> None:
    """Writes all of it, anew."""
    shutil.rmtree(folder, ignore_errors=True)
    docs = folder / "docs"
    shutil.copytree(ROOT / "docs", docs, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in ALSO:
        shutil.copy(ROOT / name, docs / name)
    for name, text in generated_pages().items():
        (docs / name).parent.mkdir(exist_ok=True)
        (docs / name).write_text(ARXIV.sub(r"[\g<0>](https://arxiv.org/abs/\1)", text))
    for path in docs.rglob("*.md"):
        path.write_text(_relinked(path.read_text(), path, docs))
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = sorted(str(path.relative_to(docs)) for path in docs.rglob("*.md"))
    config |= {"nav": expanded(config["nav"], pages), "docs_dir": "docs", "site_dir": "site"}
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def generated_pages() -> dict[str, str]:
    """Pages that no file of the tree holds, by their place among the documents."""
    from recast.backbones.families import BACKBONES
    from recast.methods import METHODS

    methods = {f"methods/{name}.md": method_page(name) for name in METHODS}
    families = {f"families/{name}.md": family_page(name) for name in BACKBONES}
    notebooks = {f"notebooks/{path.stem}.md": notebook_page(path) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    return (
        methods | families | notebooks | {f"api/{name}.md": api_page(name) for name in import_module("recast").__all__}
    )


def method_page(name: str) -> str:
    """What a method says of itself: paper, docstring, needs, and its settings as a table."""
    from recast.methods.pages import page

    held = page(name)
    needs = [*held.needs, *(["what the clip shows, in words (`--source-prompt`)"] if held.needs_source else [])]
    rows = [(f"`{knob}`", f"`{each.default}`", each.about) for knob, each in held.settings.items()]
    facts = {
        "Needs of a model": ", ".join(needs) or "nothing that models lack",
        "Averages answers (`--ensemble`)": "yes" if held.ensembles else "no",
        "Takes a schedule of": ", ".join(f"`{each}`" for each in held.over_time) or "nothing",
    }
    shown = ' --source-prompt "a meadow"' if held.needs_source else ""
    command = f'recast edit clip.mp4 -p "a snowy field"{shown} --method {name} -o edited.mp4'
    listed = "\n".join(f"- **{title}:** {text}" for title, text in facts.items())
    table = _table(("`--set`", "default", "what it does"), rows) if rows else "It has none of its own."
    return f"# {name}\n\n{held.paper}\n\n```sh\n{command}\n```\n\n{held.about}\n\n{listed}\n\n## Settings\n\n{table}\n"


def family_page(name: str) -> str:
    """What a family of models says of itself: its docstring, folders that it opens, and its own document."""
    from recast.backbones.abilities import abilities_of_spec
    from recast.backbones.families import PIPELINES
    from recast.model.specs import SPECS

    module = import_module(f"recast.backbones.{name}")
    backbone = import_module(f"recast.backbones.{name}.backbone")
    kinds = [each for _, each in inspect.getmembers(backbone, inspect.isclass) if each.__module__ == backbone.__name__]
    opened = [f"`{kind}`" for kind, family in PIPELINES.items() if family == name]
    own = Path(inspect.getfile(module)).with_name("README.md")
    parts = [f"# {name}", inspect.getdoc(module) or "", f"Folders whose `model_index.json` names {', '.join(opened)}."]
    named = [f"`{each}`" for each, spec in SPECS.items() if spec.edits and abilities_of_spec(spec).family == name]
    parts += [f"Public weights: {', '.join(named)}."] if named else []
    parts += [f"## {kind.__name__}\n\n{inspect.getdoc(kind) or ''}" for kind in kinds]
    parts += [re.sub(r"^#", "##", own.read_text(), flags=re.MULTILINE)] if own.exists() else []
    return "\n\n".join(parts) + "\n"


def notebook_page(path: Path) -> str:
    """A notebook to be read: its text and its code, and where the notebook itself is."""
    parts = []
    for cell in json.loads(path.read_text())["cells"]:
        text = "".join(cell["source"])
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else text)
    own = f"This page is the notebook [{path.name}]({path.name}), to be run in Jupyter."
    return "\n\n".join([parts[0], own, *parts[1:]]) + "\n"


def api_page(name: str) -> str:
    """A public name of the package: signature, docstring, fields and methods."""
    held = getattr(import_module("recast"), name)
    if isinstance(held, dict):
        return f"# recast.{name}\n\nA table of parts by name: {', '.join(f'`{key}`' for key in sorted(held))}.\n"
    parts = [f"# recast.{name}", _signature(f"recast.{name}", held), inspect.getdoc(held) or ""]
    if inspect.isclass(held):
        parts += _fields(held) + _methods(held)
    return "\n\n".join(parts) + "\n"


def _fields(held: type) -> list[str]:
    from recast.methods.pages import described_fields

    if not is_dataclass(held):
        return []
    about = described_fields(held)
    rows = [(f"`{each.name}`", about.get(each.name, "")) for each in fields(held) if not each.name.startswith("_")]
    return ["## Fields", _table(("field", "what it is"), rows)] if any(text for _, text in rows) else []


def _methods(held: type) -> list[str]:
    own = [(name, each) for name, each in vars(held).items() if not name.startswith("_") or name == "__call__"]
    parts: list[str] = []
    for name, each in own:
        function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        if inspect.isfunction(function) and inspect.getdoc(function):
            shown = f"`{name}`" if isinstance(each, property) else _signature(name, function)
            parts += [f"## {name}", shown, inspect.getdoc(function) or ""]
    return parts


def _signature(name: str, held: Any) -> str:  # noqa: ANN401 -- whatever is public
    if inspect.isclass(held):
        return f"```python\nclass {name}\n```"
    return f"```python\n{name}{inspect.signature(held)}\n```"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _relinked(text: str, path: Path, docs: Path) -> str:
    """The text with links to pages that have moved; what is no page is named, not linked to."""
    place = docs if path.name in ALSO else path.parent

    def changed(found: re.Match[str]) -> str:
        label, link, anchor = found.group(1), found.group(2), found.group(3) or ""
        target = (place / link).resolve()
        if target.is_dir() and (target / "README.md").exists():
            return f"[{label}]({link.rstrip('/')}/README.md{anchor})"
        if target.exists():
            return found.group(0)
        moved = docs / Path(link).name if Path(link).name in ALSO else docs / link.removeprefix("docs/")
        up = "../" * len(path.parent.relative_to(docs).parts)
        if moved.exists():
            return f"[{label}]({up}{moved.relative_to(docs)}{anchor})"
        family = re.search(r"backbones/(\w+)/README\.md", link)
        return f"[{label}]({up}families/{family[1]}.md)" if family else label

    return LINKED.sub(changed, text)


def expanded(nav: Any, pages: list[str]) -> Any:  # noqa: ANN401 -- as in mkdocs.yml
    """The nav with FOLDER/* replaced by its pages that are not named elsewhere."""
    if isinstance(nav, dict):
        return {title: expanded(inner, pages) for title, inner in nav.items()}
    if not isinstance(nav, list):
        return nav
    found: list[Any] = []
    for each in nav:
        if isinstance(each, str) and each.endswith("/*"):
            folder = each.removesuffix("*")
            found += [page for page in pages if page.startswith(folder) and page not in nav]
        else:
            found.append(expanded(each, pages))
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
