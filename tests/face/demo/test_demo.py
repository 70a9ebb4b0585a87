"""The main job: everything that the demo promises has happened, on real flights."""

from tests.support.demo import Played

STEPS = 10


def test_everything_that_the_demo_promises_happens(played: Played) -> None:
    failed = [check for check in played.report["checks"] if not check["passed"]]
    assert not failed
    assert played.report["passed"]
    assert played.code == 0


def test_every_step_but_the_first_is_checked(played: Played) -> None:
    assert len({check["step"] for check in played.report["checks"]}) == STEPS - 1
