"""A small private federation: platforms of random buyers, and the job that runs it."""

from planted_histories import random_platform
from trainer_cases import CONFIG

from isthmus.messages import RoundPlan
from isthmus.privacy.schedule import PrivatePlan
from isthmus.progress import Silent
from isthmus_client.workspace import Workspace
from isthmus_simulations.job import Clock, Job
from isthmus_simulations.options import SimulationOptions
from isthmus_simulations.plan import TrainingPlan
from isthmus_simulations.stages import Stages

PRIVATE_ROUND = RoundPlan(
    "run-1",
    1,
    5,
    negatives=7,
    validate=False,
    privacy="local",
    clipping_norm=0.5,
    noise_multiplier=4.0,
    sampling_rate=0.5,
)


def workspaces(*names, users=40):
    return [
        Workspace(random_platform(users=users, name=name, seed=place), CONFIG.max_events)
        for place, name in enumerate(names, start=1)
    ]


def private_job(out, *, trust="local", rounds=3, epsilon=8.0, colluders=0, **options):
    """A job whose federation is private."""
    plan = PrivatePlan(trust, epsilon, colluders, rounds=rounds, batch=40)
    told = SimulationOptions(
        out=out, privacy=trust, epsilon=epsilon, workers=1, **{"canaries": 0, **options}
    )
    training = TrainingPlan(seed=3, encoder=CONFIG, private=plan)
    return Job(told, training, Silent(), Stages(out / "stages"), Clock())
