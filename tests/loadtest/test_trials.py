"""Small runs of the trials whose large runs are quoted: the gate over links, and what snapshots say of who is out of sight."""

import numpy as np

from gameedge.core.protocol.frames import COMMAND_HEADER
from loadtest.bench import gate_trial, leak_trial
from loadtest.shares import at_most


def test_the_gate_takes_no_cheat_and_refuses_nobody() -> None:
    found = gate_trial.run(2e6, seed=7)
    assert found["legitimate_commands"] > 100_000
    assert found["forged_commands"] > 10_000
    assert found["timers"] > 20
    assert {row["not_found"] for links in found["s_to_find"].values() for row in links.values()} == {0}
    assert found["legitimate_rejected"] == 0
    assert found["cheats_accepted"] == 0


def test_what_none_of_many_says_of_a_share() -> None:
    assert at_most(0, 1_000) == 0.003  # the rule of three
    assert at_most(1, 10) == 0.39
    assert at_most(8, 27_778) == 0.00052
    assert at_most(5, 5) == 1.0


def test_a_session_whose_packet_was_lost_five_times_over_loses_no_command() -> None:
    """The session of another draw in which the gate's ceiling once came down during a silence of ten seconds, and 18 commands were lost."""
    kind, speed, seed = np.array([gate_trial.HONEST]), np.ones(1), np.array([1_564_383_928])
    out = gate_trial._sessions(kind, speed, seed, np.zeros(1, COMMAND_HEADER))
    assert out[0, 0] == gate_trial.COMMANDS
    assert out[0, 6] == gate_trial.LOSSY_FAR
    assert out[0, 1] == 0


def test_who_is_out_of_sight_changes_no_bit() -> None:
    found = leak_trial.run(20)
    assert found["decoys"] == 20
    assert found["enemies_sent_beyond_the_look_ahead"] == 0
    assert found["in_sight"] == found["in_sight_and_told"] > 0
