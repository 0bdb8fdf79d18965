"""Waiting for a Ray of our own to register its node."""

import pytest

from tuning.execution import cluster


class Registering:
    """A Ray whose node is there at the third look."""

    looks = 0

    def _initialize_global_state(self, options):
        pass

    def node_table(self):
        Registering.looks += 1
        return [{"NodeID": "other"}, *([{"NodeID": "own"}] if Registering.looks > 2 else [])]


class Broken:
    def _initialize_global_state(self, options):
        raise AttributeError("another version of Ray")


@pytest.mark.parametrize(("state", "looks"), [(Registering, 3), (Broken, 0)])
def test_rays_own_look_which_sleeps_comes_when_the_node_is_there(monkeypatch, state, looks):
    monkeypatch.setattr(cluster.ray_state, "GlobalState", state)
    monkeypatch.setattr(Registering, "looks", 0)
    asked = []

    def get_node(address, node):
        asked.append((address, node, Registering.looks))
        return {"node": node}

    prompt = cluster._as_it_registers(get_node)
    assert prompt("127.0.0.1:1", "own") == {"node": "own"}
    assert asked == [("127.0.0.1:1", "own", looks)]
