"""`isthmus server run start`: from options, or a file, to a contract that platforms can approve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from isthmus.cli_options import count, file, folder, names, seed, switch, text
from isthmus.errors import ScenarioError
from isthmus_server.server_home import DEFAULT, ServerHome

if TYPE_CHECKING:
    from isthmus_server.run_request import RunRequest

WHO, TRAINING, SERVER, PRIVACY = "Who", "Training", "At the server", "Privacy"

HomeOption = Annotated[Path, folder("The server's folder, as `isthmus server init` made it.")]
JsonOption = Annotated[bool, switch("--json", "Print JSON instead of words.")]
NewRunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The new run's id.", show_default="run-1, run-2, ...")
]
ConfigOption = Annotated[
    Path | None, file("A run.toml with these options' names; options given here count more.")
]
DryOption = Annotated[bool, switch("--dry-run", "Say what would be proposed, and propose nothing.")]
TitleOption = Annotated[str | None, text("What people call the run.", metavar="WORDS", panel=WHO)]
MembersOption = Annotated[
    str | None, names("Platforms that take part.", default="all that are approved")
]
UsersOption = Annotated[
    str | None,
    text("Published users of members.", metavar="NAME=N,...", default="as they told", panel=WHO),
]
MinimumOption = Annotated[
    int | None,
    count(
        "Platforms without which a round is not finished.",
        panel=WHO,
        default="pooled: all, secure: two thirds and 3 at least, else 2",
    ),
]
EncoderOption = Annotated[
    str | None,
    text(
        "Shapes of the encoder: content, dim, layers, heads, expansion, max_events, adapter_width.",
        metavar="KEY=N,...",
        default="384, 64, 2, 2, 2, 50, all; in a private run 64",
        panel=TRAINING,
    ),
]
TextEncoderOption = Annotated[
    str | None,
    text("Fingerprint of the text encoder that all must use.", metavar="HASH", panel=TRAINING),
]
FromOption = Annotated[
    str | None,
    text("A release to go on from.", metavar="RELEASE", default="a new encoder", panel=TRAINING),
]
SeedOption = Annotated[int | None, seed(panel=TRAINING)]
RoundsOption = Annotated[
    int | None, count("Rounds, at most.", panel=TRAINING, default="12; 100 in a private run")
]
EpochsOption = Annotated[
    float | None,
    text("Passes over a platform's users in a round.", panel=TRAINING, default="1"),
]
StepsOption = Annotated[
    int | None,
    count("Steps in a round, at most; 0 = no limit.", least=0, panel=TRAINING, default="0"),
]
RateOption = Annotated[
    float | None,
    text(
        "Step size of the platforms' AdamW; in a private run of the server's Adam.",
        panel=TRAINING,
        default="5e-4; 2e-3 in a private run",
    ),
]
OptimiserOption = Annotated[
    str | None,
    text(
        "How the mean update is applied: fedavg, fedavgm or fedadam.",
        metavar="NAME",
        default="fedavg",
        panel=SERVER,
    ),
]
AggregationOption = Annotated[
    str | None,
    text(
        "How updates become one: mean, norm_bounded, trimmed_mean, median or cosine.",
        metavar="NAME",
        default="mean",
        panel=SERVER,
    ),
]
WeightsOption = Annotated[
    str | None,
    text(
        "How much an update counts: users, equal or sqrt_users.",
        metavar="NAME",
        default="the rule's own",
        panel=SERVER,
    ),
]
DeadlineOption = Annotated[
    float | None,
    text("Seconds for one round.", metavar="SECONDS", default="600", panel=SERVER),
]
PatienceOption = Annotated[
    int | None,
    count(
        "Rounds without a better score before the run stops; 0 = off.",
        least=0,
        panel=SERVER,
        default="4; off in a private run",
    ),
]
SecureOption = Annotated[
    bool | None,
    typer.Option(
        "--secure-aggregation/--no-secure-aggregation",
        help="Whether the server sees sums over platforms only.",
        rich_help_panel=PRIVACY,
        show_default="on",
    ),
]
ThresholdOption = Annotated[
    int | None,
    count(
        "Shares that reveal a secret of secure aggregation.",
        panel=PRIVACY,
        default="two thirds of the members",
    ),
]
PrivacyOption = Annotated[
    str | None,
    text(
        "Trust mode: local (each platform adds all noise), pooled (a share of it) or none.",
        metavar="MODE",
        default="local",
        panel=PRIVACY,
    ),
]
EpsilonOption = Annotated[
    float | None,
    text("Of the whole run, for one user of one platform.", panel=PRIVACY, default="8"),
]
ColludersOption = Annotated[
    int | None,
    count(
        "Platforms that may collude with the server; pooled alone.",
        least=0,
        panel=PRIVACY,
        default="0",
    ),
]
ClippingOption = Annotated[
    float | None, text("Largest norm of a user's gradient.", panel=PRIVACY, default="1")
]
QuantileOption = Annotated[
    float | None,
    text(
        "Quantile of users' gradient norms that the clipping norm follows; 0 = it is fixed.",
        panel=PRIVACY,
        default="0",
    ),
]
BatchOption = Annotated[
    int | None,
    count("Users that a round samples in expectation, over all.", panel=PRIVACY, default="4096"),
]
AcceptOption = Annotated[
    bool,
    switch("--accept-noise", "Propose it though its noise drowns what is learned.", panel=PRIVACY),
]


def start(
    *,
    run: NewRunArgument = "",
    home: HomeOption = DEFAULT,
    config: ConfigOption = None,
    name: TitleOption = None,
    members: MembersOption = None,
    users: UsersOption = None,
    minimum: MinimumOption = None,
    encoder: EncoderOption = None,
    text_encoder: TextEncoderOption = None,
    release: FromOption = None,
    seed: SeedOption = None,
    rounds: RoundsOption = None,
    local_epochs: EpochsOption = None,
    max_steps: StepsOption = None,
    learning_rate: RateOption = None,
    server_optimiser: OptimiserOption = None,
    aggregation: AggregationOption = None,
    weights: WeightsOption = None,
    deadline: DeadlineOption = None,
    patience: PatienceOption = None,
    secure_aggregation: SecureOption = None,
    threshold: ThresholdOption = None,
    privacy: PrivacyOption = None,
    epsilon: EpsilonOption = None,
    colluders: ColludersOption = None,
    clipping_norm: ClippingOption = None,
    clipping_quantile: QuantileOption = None,
    private_batch: BatchOption = None,
    accept_noise: AcceptOption = False,
    dry_run: DryOption = False,
    as_json: JsonOption = False,
) -> None:
    """Propose a run: say what it asks of the platforms, sign that, and let them approve it.

    It starts when enough members have approved. Members that are unknown or not approved, too few
    members, and privacy that leaves nothing to learn from are refused; then nothing is proposed.

    Example: isthmus server run start --privacy pooled --epsilon 8 --rounds 100
    """
    from isthmus_server.run_request import read_request, request_from  # noqa: PLC0415 - pydantic

    given = {
        "run": run or None,
        "name": name,
        "members": members and [each.strip() for each in members.split(",")],
        "users": users and _pairs("--users", users),
        "minimum": minimum,
        "encoder": encoder and _pairs("--encoder", encoder),
        "text_encoder": text_encoder,
        "release": release,
        "seed": seed,
        "rounds": rounds,
        "local_epochs": local_epochs,
        "max_steps": max_steps,
        "learning_rate": learning_rate,
        "server_optimiser": server_optimiser,
        "aggregation": aggregation,
        "weights": weights,
        "deadline": deadline,
        "patience": patience,
        "secure_aggregation": secure_aggregation,
        "threshold": threshold,
        "privacy": privacy,
        "epsilon": epsilon,
        "colluders": colluders,
        "clipping_norm": clipping_norm,
        "clipping_quantile": clipping_quantile,
        "private_batch": private_batch,
        "accept_noise": accept_noise or None,
    }
    values = {} if config is None else read_request(config)
    values |= {key: value for key, value in given.items() if value is not None}
    where = "the command line" if config is None else f"{config} and the command line"
    _proposed(ServerHome(home), request_from(values, where), dry=dry_run, as_json=as_json)


def _proposed(home: ServerHome, request: RunRequest, *, dry: bool, as_json: bool) -> None:
    """Propose, or only say what would be; and show it."""
    from isthmus.identity import load_signing_key  # noqa: PLC0415 - cryptography
    from isthmus_server.run_proposal import draft, propose  # noqa: PLC0415 - the database
    from isthmus_server.run_status import opened_state  # noqa: PLC0415 - with it
    from isthmus_server.run_words import proposal_words  # noqa: PLC0415 - with it

    with opened_state(home) as state:
        if dry:
            found = draft(state, request)
        else:
            found = propose(state, request, load_signing_key(home.identity / "signing.key"))
    contract = found.contract
    if not as_json:
        Console(highlight=False).print(proposal_words(found, proposed=not dry))
        return
    value = {
        "run": contract.run,
        "proposed": not dry,
        "contract_sha256": contract.sha256,
        "encoder_sha256": contract.encoder_sha256,
        "bytes_down": contract.bytes_down,
        "bytes_up": contract.bytes_up,
        "noise_norm": found.privacy.noise_norm if found.privacy else None,
        "contract": json.loads(contract.to_bytes()),
    }
    print(json.dumps(value, indent=2))


def _pairs(option: str, given: str) -> dict[str, str]:
    """`a=1,b=2` taken apart.

    Raises:
        ScenarioError: a part is no NAME=N.
    """
    found = {}
    for part in given.split(","):
        key, sign, value = part.strip().partition("=")
        if not (key and sign and value):
            raise ScenarioError(f"{option} {given}: {part.strip()!r} is no NAME=N")
        found[key.strip()] = value.strip()
    return found
