"""Derived facts on small examples, and one clear sentence for each broken rule."""

import math

import pytest

from cortexsim.errors import GraphError
from cortexsim.graph import Area, AreaGraph, Connection, PreNet, SharingSet, Use

V1, V2, IT = Area("V1", 8, 16, 16), Area("V2", 12, 8, 8), Area("IT", 16, 4, 4)
SPINE = (Connection("V1", "V2"), Connection("V2", "IT"))


def graph(*connections, areas=(V1, V2, IT), spine=SPINE, **options):
    return AreaGraph(areas, (*spine, *connections), **options)


def refused(*words):
    return pytest.raises(GraphError, match="(?s)" + ".*".join(words))


def test_kinds_follow_the_order_of_areas():
    net = graph()
    kinds = {
        ("V1", "V2"): {"feedforward"}, ("IT", "V2"): {"feedback"}, ("V2", "V2"): {"lateral"},
        ("V1", "IT"): {"feedforward", "bypass"}, ("IT", "V1"): {"feedback", "bypass"},
    }
    for (source, target), expected in kinds.items():
        assert net.kinds(Connection(source, target, "conv")) == expected


def test_geometry():
    net = graph(Connection("IT", "V1", "brd", 3), Connection("V1", "IT", shortcut="linear"))
    back, bypass = net.connections[2:]
    assert net.stride(back) == net.stride(bypass) == (4, 4)
    assert net.grows(back) and not net.grows(bypass)
    assert net.channels(back)[1:-1] == (12, 12)
    assert net.pre_net_stride == (2, 2)
    # a growing first layer is a deconvolution, whose kernel is (in, out, ...)
    assert [net.kernel_shape(back, i) for i in (1, 2, 3)] == [
        (16, 12, 3, 3), (12, 12, 3, 3), (8, 12, 3, 3)
    ]
    assert [net.kernel_shape(bypass, i) for i in (0, 1, 2)] == [
        (16, 8, 1, 1), (12, 8, 3, 3), (16, 12, 3, 3)
    ]
    with refused("no weight of layer 3"):
        net.kernel_shape(bypass, 3)


def test_sizes_that_do_not_divide():
    areas = (Area("V1", 8, 15, 10), Area("V2", 8, 5, 5), Area("IT", 8, 3, 1))
    net = graph(areas=areas, image=(1, 30, 20))
    assert [net.stride(c) for c in net.connections] == [(3, 2), (2, 5)]


def test_windows():
    connection = Connection("V1", "V1", steps=(2, math.inf))
    assert connection.steps == (2, None)
    assert [Connection("V1", "V1", steps=[2, 3]).active(s) for s in (1, 2, 3, 4)] == [
        False, True, True, False
    ]


def test_layers_default_to_the_transition():
    layers = [Connection("a", "b", t).layers for t in ("brc", "brd", "conv", "max_pool")]
    assert layers == [2, 2, 1, 0]


def test_time_constant():
    leak = Connection("V1", "V1", shortcut="identity", gain=0.5)
    assert leak.time_constant_steps == pytest.approx(1 / math.log(2))
    assert Connection("V1", "V1", shortcut="identity").time_constant_steps == math.inf
    assert Connection("V1", "V1").time_constant_steps == 0


def test_weight_keys():
    own = Connection("V1", "V1", weights="per-step", shortcut="linear")
    tied = Connection("V2", "V2", tie="t")
    each = Connection("IT", "IT", tie=("a", "a"))
    early = Connection("IT", "V2", "brd", steps=(1, 3))
    late = Connection("IT", "V2", "brd", steps=(4, None))
    net = graph(own, tied, each, early, late)
    assert net.weight_key(SPINE[0], 1, 3) == "V1>V2:1"
    assert net.weight_key(own, 0, 3) == "V1>V1:0@3"
    assert net.weight_key(tied, 2, 3) == "t:2"
    assert [net.weight_key(each, layer, 1) for layer in (1, 2)] == ["a", "a"]
    assert net.weight_key(early, 1, 1) == "IT>V2[1-3]:1"
    assert net.weight_key(late, 1, 5) == "IT>V2[4-inf]:1"


def test_onset_without_self_transitions_has_parity():
    net = AreaGraph.chain(
        ["a", "b", "c"], self_transitions=False, input="onset", readout_time=4
    )
    assert net.readout_times(9) == [2, 4, 6, 8]
    with refused("'c' is empty at readout time 5", "2, 4, 6, 8, 10, 12, 14"):
        AreaGraph.chain(["a", "b", "c"], self_transitions=False, input="onset", readout_time=5)


def test_drive_that_ends_and_comes_back():
    net = graph()
    expected = [{"V1"}, {"V2"}, {"V1", "IT"}, {"V2"}, {"IT"}, set()]
    assert net.populated(5, [True, False, True]) == [frozenset(areas) for areas in expected]


def test_needed_leaves_out_what_comes_too_late():
    net = graph(Connection("V1", "V1"))
    needed = net.needed([(), (), (), {"IT"}])
    assert needed == [{"V1"}, {"V1"}, {"V2"}, {"IT"}]
    with refused("unknown area 'V3'"):
        net.needed([{"V3"}])


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Area("1V", 1, 1, 1), ["area '1V'", "begins with a letter"]),
    (lambda: Area("time", 1, 1, 1), ["'time'", "used by recordings"]),
    (lambda: Area("all", 1, 1, 1), ["'all'"]),
    (lambda: Area("V1", 0, 1, 1), ["whole numbers of 1 or more", r"\[0, 1, 1\]"]),
    (lambda: Area("V1", 1.5, 1, 1), ["whole numbers"]),
    (lambda: Connection("V1", "V2", "brcc"), ["unknown transition", "did you mean 'brc'"]),
    (lambda: Connection("V1", "V2", shortcut="skip"), ["unknown shortcut", "linear"]),
    (lambda: Connection("V1", "V2", layers=0), ["layers must be 1 or more"]),
    (lambda: Connection("V1", "V2", "conv", 3), ["'conv' always has 1 layers"]),
    (lambda: Connection("V1", "V2", steps=(0, 3)), ["steps", r"\[0, 3\]"]),
    (lambda: Connection("V1", "V2", steps=(3, 2)), ["steps", "not before"]),
    (lambda: Connection("V1", "V2", steps=3), ["first and the last step"]),
    (lambda: Connection("V1", "V2", steps=(1, 10**9)), ["10000"]),
    (lambda: Connection("V1", "V1", shortcut="identity", gain=0), ["above 0"]),
    (lambda: Connection("V1", "V1", shortcut="identity", gain=math.nan), ["finite"]),
    (lambda: Connection("V1", "V1", gain=0.5), ["nothing to act on"]),
    (lambda: Connection("V1", "V1", "identity", shortcut="identity"), ["twice"]),
    (lambda: Connection("V1", "V1", weights="own"), ["unknown weights", "per-step"]),
    (lambda: Connection("V1", "V1", tie="a b"), ["name of a tie"]),
    (lambda: Connection("V1", "V1", tie=("a",)), ["each of its 2 layers"]),
    (lambda: Connection("V1", "V1", "max_pool", tie="a"), ["no weights to tie"]),
    (lambda: PreNet(2), ["0, 1 or 3"]),
    (lambda: PreNet(1, 8), ["layers: 3"]),
    (lambda: graph(Connection("V1", "V3")), ["V1>V3", "unknown area 'V3'", "V1, V2, IT"]),
    (lambda: graph(SPINE[0]), ["V1>V2: duplicate", "step 1"]),
    (lambda: graph(Connection("V2", "V2", steps=(1, 4)), Connection("V2", "V2", steps=(4, 5))),
     ["duplicate", "step 4"]),
    (lambda: graph(Connection("V2", "V1")), ["V2>V1", "8x8 to 16x16", "use 'brd'"]),
    (lambda: graph(Connection("V1", "IT", "brd")), ["V1>IT", "use 'brc'"]),
    (lambda: graph(Connection("V1", "IT", shortcut="identity")), ["equal shape", "'linear'"]),
    (lambda: graph(Connection("V1", "IT", "identity")), ["identity transition", "equal shape"]),
    (lambda: graph(Connection("V1", "IT", "max_pool")), ["max_pool", "channels"]),
    (lambda: graph(areas=(V1, Area("V2", 8, 7, 7), IT)), ["no stride joins", "16x16", "7x7"]),
    (lambda: graph(areas=(V1, Area("V2", 8, 32, 4), IT)), ["one dimension grows"]),
    (lambda: graph(areas=(V1, V2, Area("v1", 1, 1, 1), IT)), ["only in case"]),
    (lambda: graph(areas=(V1, V2, V1)), ["'V1' is given twice"]),
    (lambda: AreaGraph((), ()), ["at least one area"]),
    (lambda: AreaGraph((V1, V2, IT), SPINE[:1]), ["nothing reaches the last area 'IT'"]),
    (lambda: graph(readout_time=1), ["'IT' is empty at readout time 1", "2-11"]),
    (lambda: graph(readout_time=0), ["readout_time"]),
    (lambda: graph(readout_time=10**9), ["10000"]),
    (lambda: graph(input="onse"), ["unknown input", "did you mean 'onset'"]),
    (lambda: graph(weights="own"), ["unknown weights"]),
    (lambda: graph(image=(3, 8, 8)), ["larger than the image"]),
    (lambda: graph(image=(3, 20, 20)), ["no stride joins the image, 20x20", "20x20"]),
    (lambda: graph(image=(3, 32)), ["image must be"]),
    (lambda: graph(pre_net=PreNet(0)), ["without a pre-net", r"\[3, 32, 32\]"]),
    (lambda: graph(Connection("V1", "V1", tie="t"), Connection("V2", "V2", tie="t")),
     ["V2>V2: layer 1 is tied as 't:1' to V1>V1", "shape"]),
    (lambda: graph(Connection("V1", "V1", tie="t"),
                   Connection("V1", "IT", "conv", tie="t", weights="per-step")), ["tied"]),
    (lambda: graph(Connection("V2", "V1", "brd", tie=("a", "a"))), ["V2>V1: layer 2", "shape"]),
    # a sharing set at one step must not hide a tie that cannot be at the others
    (lambda: graph(Connection("V1", "V1", tie="t"), Connection("V2", "V2", tie="t"),
                   sharing=(SharingSet("early", (Use("V1", "V1", 1),)),)),
     ["V2>V2: layer 1 is tied as 't:1' to V1>V1", "shape"]),
    # the second normalization of the one would be of 8 channels, of the other of 6
    (lambda: graph(Connection("V1", "V2", "cbr", 1, steps=(1, 2)),
                   Connection("V1", "V2", "cbr", 2, steps=(3, 4)), spine=SPINE[1:]),
     ["V1>V2: two connections", "same channels between layers"]),
])
def test_broken_rules(make, words):
    with refused(*words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_ties_need_the_same_sharing():
    same = Area("V4", 8, 16, 16)
    with refused("weights are per-step and the other's shared"):
        AreaGraph(
            (V1, same), (Connection("V1", "V4", tie="t"),
                         Connection("V1", "V1", tie="t", weights="per-step")),
        )


def test_a_deconvolution_may_be_the_adjoint_of_a_convolution():
    net = graph(Connection("V1", "IT", "conv", tie="t"), Connection("IT", "V1", "conv", tie="t"))
    assert net.weight_key(net.connections[2], 1, 1) == net.weight_key(net.connections[3], 1, 1)


def test_reached_later_than_the_usual_window():
    late = AreaGraph((V1, V2), (Connection("V1", "V2", steps=(50, 51)),), readout_time=51)
    assert late.readout_times(60) == [50, 51]
    # onset input has left the first area by then, sustained input has not
    with refused("nothing reaches"):
        AreaGraph(late.areas, late.connections, input="onset", readout_time=51)
    with refused("possible readout times: 50"):
        AreaGraph(late.areas, late.connections, readout_time=5)


def test_one_area():
    net = AreaGraph((V1,), (Connection("V1", "V1", shortcut="identity"),), readout_time=3)
    assert net.first is net.last
    assert net.readout_times(2) == [0, 1, 2]
    with refused("unknown area 'V9'"):
        net.area("V9")
    with refused("nothing reaches the last area 'V1'"):
        AreaGraph((V1,), (), input="onset")


def test_strides_of_all_ways_to_an_area_without_a_size_agree() -> None:
    """Else the first image of any size would find maps that cannot be added."""
    text = """
areas: {A: [4], B: [4], C: [4]}
connections:
  - {from: A, to: B, stride: 2}
  - {from: B, to: C, stride: STRIDE}
  - {from: A, to: C, stride: 4}
image: [1]
readout_time: 2
"""
    AreaGraph.from_text(text.replace("STRIDE", "2"))
    with pytest.raises(GraphError, match="B>C: it brings maps of 1/6 .* 'C', which has 1/4"):
        AreaGraph.from_text(text.replace("STRIDE", "3"))
    lateral = "{areas: {A: [4]}, connections: [{from: A, to: A, stride: 2}], image: [1]}"
    with pytest.raises(GraphError, match="A>A: it brings maps of 1/2"):
        AreaGraph.from_text(lateral)


def test_a_kernel_where_there_is_no_convolution_is_refused():
    with pytest.raises(GraphError, match="kernel 5 has nothing to act on"):
        Connection("A", "B", "max_pool", kernel=5)


def test_a_bad_step_of_a_sharing_set_has_its_line_once():
    text = """areas: {A: [4, 8, 8]}
connections: [{from: A, to: A}]
image: [1, 8, 8]
sharing: {early: [{from: A, to: A, steps: 0}]}
"""
    with pytest.raises(GraphError) as error:
        AreaGraph.from_text(text, "mine.yaml")
    assert str(error.value).count("mine.yaml") == 1
