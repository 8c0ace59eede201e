from isthmus_server.flower.serials import FRESH_S, Serials


def test_the_newest_certificate_and_the_one_before_are_good_and_no_other():
    serials = Serials({"a": ("1f", "1e")}.get)
    assert serials.good("a", 0x1F)
    assert serials.good("a", 0x1E)
    assert not serials.good("a", 0x1D)
    assert not serials.good("b", 0x1F)


def test_a_new_certificate_is_good_at_once_and_an_old_one_ends_within_a_moment():
    state, clock = {"a": ("1", None)}, [0.0]
    serials = Serials(state.get, lambda: clock[0])
    assert serials.good("a", 1)
    state["a"] = ("3", "2")
    assert serials.good("a", 3)
    clock[0] = FRESH_S
    assert not serials.good("a", 1)


def test_a_platform_without_a_certificate_has_no_good_one():
    assert not Serials({"a": (None, None)}.get).good("a", 0)
