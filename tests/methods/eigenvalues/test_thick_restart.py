"""Restarted Lanczos claims nothing that a restart may have dropped."""


def test_thick_restart_claims_nothing_after_a_restart_of_an_exhausted_space(run, rotated):
    # Directions drawn after the space was exhausted may be dropped at a restart, and copies with them.
    claims = [
        (checkpoint.matvecs, checkpoint.estimate.resolve().converged)
        for checkpoint in run("thick-restart-lanczos", rotated([*[5.0] * 3, *[1.0] * 57]), 30, k=1, basis=8).checkpoints
    ]
    assert any(converged for spent, converged in claims if spent <= 8)
    assert not any(converged for spent, converged in claims if spent > 8)
