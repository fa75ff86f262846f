"""Random parts of area graphs that several tests draw."""

from dataclasses import replace

from hypothesis import strategies as st

from cortexsim.graph import SharingSet, Use


@st.composite
def with_sharing(draw, graph):
    """The graph, with sharing sets over some of its connections at some steps."""
    sets = {}
    names = [c.name for c in graph.connections]
    for c in graph.connections:
        layers = range(not c.has_map, c.layers + 1)
        if not layers or names.count(c.name) > 1:
            continue
        shapes = tuple((layer, graph.kernel_shape(c, layer)) for layer in layers)
        first = draw(st.integers(1, 3))
        for steps in ((1, first), (first + 1, draw(st.sampled_from([first + 1, 6, None])))):
            use = Use(c.source, c.target, steps if steps[1] is None else (steps[0], max(steps)))
            if use.meets(c.steps) and draw(st.booleans()):
                sets.setdefault((shapes, draw(st.integers(0, 1))), []).append(use)
    return replace(graph, sharing=tuple(
        SharingSet(f"set-{i}", tuple(uses)) for i, uses in enumerate(sets.values())))
