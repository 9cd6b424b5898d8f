"""Facts as lines of name and value."""


def tell(facts: dict[str, object], *, title: str = "") -> None:
    """Prints each fact on a line of its own, under the title if there is one."""
    if title:
        print(f"\n{title}")
    for name, value in facts.items():
        print(f"{name:<18} {_said(value)}".rstrip())


def _said(value: object) -> str:
    if value is None:
        return "not told"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(_said(each) for each in value) or "none"
    return str(value)
