"""How a bug is put into minidrop for the length of a test: a function of which one piece is replaced.

    getsource  ->  the piece occurs exactly once  ->  replace  ->  compile in its own module  ->  patch in

A piece that is not there any more, or twice, is an error, so that no rewriting of minidrop can make a mutant
harmless without notice.
"""

import importlib
import inspect
import sys
import textwrap
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A bug, and who must see it.

    Args:
        name: what is wrong.
        where: "module:function" or "module:Class.method".
        old: a piece of its source that occurs exactly once.
        new: what stands there instead.
        check: the name of a check in `CHECKS`.
        also: further (old, new) of the same bug, where a line moves.
    """

    name: str
    where: str
    old: str
    new: str
    check: str
    also: tuple[tuple[str, str], ...] = ()


def bug(name: str, where: str, old: str, new: str, check: str, *also: tuple[str, str]) -> Mutant:
    """A `Mutant`, with what else it changes as further arguments."""
    return Mutant(name, where, old, new, check, also)


def inject(mutant: Mutant, monkeypatch: Any) -> None:
    """Put the mutant in place of the original, wherever that is known by its name."""
    module_name, _, path = mutant.where.partition(":")
    module = importlib.import_module(module_name)
    class_name, _, name = path.rpartition(".")
    owner = getattr(module, class_name) if class_name else module
    original = vars(owner)[name]
    changed = compile_changed(original, mutant, owner, module)
    if class_name:
        monkeypatch.setattr(owner, name, changed)
        return
    for other in list(sys.modules.values()):  # also where it was imported by name
        if getattr(other, "__dict__", {}).get(name) is original:
            monkeypatch.setattr(other, name, changed)


def compile_changed(original: Any, mutant: Mutant, owner: Any, module: ModuleType) -> Any:
    """The original with its piece replaced; decorators are part of the source, and `super()` works."""
    function = original.fget if isinstance(original, property) else getattr(original, "__func__", original)
    changed = textwrap.dedent(inspect.getsource(function))
    for old, new in ((mutant.old, mutant.new), *mutant.also):
        count = changed.count(old)
        if count != 1:
            raise LookupError(f"{mutant.where} has {old!r} {count} times; the mutant needs it exactly once")
        changed = changed.replace(old, new)
    name = function.__name__
    factory = f"def factory(__class__):\n{textwrap.indent(changed, '    ')}\n    return {name}\n"
    names: dict[str, Any] = {}
    code = compile(factory, f"<mutant {mutant.name}>", "exec")
    exec(code, vars(module), names)
    return names["factory"](owner)
