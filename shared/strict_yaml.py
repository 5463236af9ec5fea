"""YAML without what misleads: no aliases, no keys that are given twice."""

from __future__ import annotations

from typing import Any

import yaml

from shared.errors import ConfigurationError


class StrictLoader(yaml.SafeLoader):
    """YAML without aliases and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Return what the next events are; refuses an alias."""
        if self.check_event(yaml.events.AliasEvent):
            raise ConfigurationError(f"line {self.line + 1}", "aliases are not allowed")
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return the value of a node; refuses one that is not of the kind that it looks like."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, KeyError, AttributeError) as exc:  # what its constructors say to a date 2026-99-99
            message = "a value that is not of its kind; put quotes around a text"
            raise ConfigurationError(f"line {node.start_mark.line + 1}", message) from exc

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; refuses one that says the same key twice."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            name = str(key.value)
            if name in seen:
                raise ConfigurationError(f"line {key.start_mark.line + 1}", f"{name!r} is given twice")
            seen.add(name)
        return super().construct_mapping(node, deep)
