"""Small runs of the trials whose large runs are quoted: the gate over links, and what snapshots say of who is out of sight."""

from loadtest.bench import gate_trial, leak_trial


def test_the_gate_takes_no_cheat_and_refuses_nobody() -> None:
    found = gate_trial.run(2e6, seed=7)
    assert found["legitimate_commands"] > 100_000
    assert found["forged_commands"] > 10_000
    assert found["timers_on_clean_links"] > 0
    assert found["legitimate_rejected"] == 0
    assert found["cheats_accepted"] == 0


def test_who_is_out_of_sight_changes_no_bit() -> None:
    found = leak_trial.run(20)
    assert found["decoys"] == 20
    assert found["enemies_sent_beyond_the_look_ahead"] == 0
    assert found["in_sight"] == found["in_sight_and_told"] > 0
