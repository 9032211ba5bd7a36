# SPDX-License-Identifier: Apache-2.0
"""Contests on bearings that run to failure: `make bench-contest`. Figures come last, as name=value lines."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

from bench import knowledge
from bench.bearings.dataset import BearingRun, generated, read_nasa
from bench.contest.deployment import deployments, infer_instructions, occupation, payload_share
from bench.contest.experiment import Experiment, VotesOf, experiment, votes_on
from bench.contest.forests import BenchForest, Bools, all_forests, as_inputs
from bench.contest.harsh_line import Harshness, count_samples, line_share
from bench.contest.loop import time_loop
from bench.contest.our_rules import NORMAL
from bench.contest.pictures import course, outcomes
from bench.contest.pool_speed import pool_votes
from bench.contest.retraining import retraining_figures
from bench.contest.sample_line import sample_times
from bench.contest.scope import scope_refused
from reconciler.compiler.pack.sampling_parameters import with_sampling
from reconciler.model.samples import SAMPLE_EVERY

SHOWN = 8  # of the contests: bearing 3, whose first champion is the forest of bearing 1
TIMED_WINDOWS = 30
POOLED_WINDOWS = 2000
SAMPLED = BenchForest(2, 50)  # the forest of a failing bearing, which calls its last windows anomalous
MANY = 400  # windows
READABLE = 1000  # larger figures are printed without decimals
LINE_SHARE, HOUR_S = 15.0, 3600.0


def main() -> None:
    """Play the contests, draw the pictures, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nasa", type=Path, metavar="DIR", help="read set 1 of NASA's bearing data set from here")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="generate another run of the same machine")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="write the pictures here")
    options = parser.parse_args()
    run = read_nasa(options.nasa) if options.nasa else generated(seed=options.seed)
    print(f"# data: {run.source}, {run.windows.shape[1]} windows of {len(run.windows)} bearings")
    packs = all_forests(run)
    votes = votes_on(run, packs)
    played = experiment(run, votes)
    print_contests(played)
    if options.pictures:
        draw_pictures(played, options.pictures)
    deployed = {forest: with_sampling(pack, {SAMPLE_EVERY: NORMAL}) for forest, pack in packs.items()}
    figures = {
        **played.figures(),
        **retraining_figures([play.setting for play in played.ours]),
        "judged_windows_per_s": pool_votes(packs, run.windows[0][:POOLED_WINDOWS])[1],
        **device_figures(run, deployed),
        **sample_figures(run, deployed[SAMPLED], votes[SAMPLED.bearing][SAMPLED]),
    }
    figures |= loop_figures(run, votes)
    refused, altered = scope_refused()
    knowledge.main()
    print(f"scope_refused={refused}/{altered}")
    for name, value in figures.items():
        print(f"{name}={value:.4g}" if value < READABLE else f"{name}={value:.0f}")


def print_contests(played: Experiment) -> None:
    """Print one line for each contest."""
    for literal, ours in zip(played.literal, played.ours, strict=True):
        setting = ours.setting
        first, last = (setting.false_alarms_per_1000(each) for each in (setting.champion, ours.last_champion))
        print(
            f"# bearing {setting.bearing + 1}, first {setting.champion.ref}: "
            f"{literal.replacements} replacements by the paper's rule, {ours.replacements} by ours; "
            f"last {ours.last_champion.ref}, {first:.0f} -> {last:.0f} false alarms per 1,000"
        )


def draw_pictures(played: Experiment, folder: Path) -> None:
    """Write the pictures of one contest under both rules, and of all contests."""
    pictures = {
        "contest-literal.svg": course(played.literal[SHOWN], "the paper's rule"),
        "contest-ours.svg": course(played.ours[SHOWN], "our rules"),
        "contest-outcomes.svg": outcomes(played.literal, played.ours, played.plain),
    }
    for name, svg in pictures.items():
        (folder / name).write_text(svg, encoding="utf-8")


def device_figures(run: BearingRun, packs: Mapping[BenchForest, bytes]) -> dict[str, float]:
    """Return what forests of 10 and of 50 trees cost to deliver and to run: the mean of the four bearings."""
    figures: dict[str, float] = {}
    busy: list[float] = []
    every = len(run.life) // TIMED_WINDOWS
    for trees in (10, 50):
        chosen = {forest: pack for forest, pack in packs.items() if forest.trees == trees}
        runs = deployments(list(chosen.values()))
        busy += map(occupation, runs)
        counts = [infer_instructions(pack, run.windows[forest.bearing][::every]) for forest, pack in chosen.items()]
        figures |= {
            f"deploy_t{trees}_s": fmean(each.took_s for each in runs),
            f"deploy_t{trees}_s_max": max(each.took_s for each in runs),
            f"deploy_t{trees}_payload_share": fmean(map(payload_share, runs, chosen.values())),
            f"infer_instructions_t{trees}": round(fmean(map(fmean, counts))),
            f"infer_instructions_t{trees}_max": max(map(max, counts)),
        }
    return figures | {"deploy_channel_occupation": min(busy)}


def sample_figures(run: BearingRun, pack: bytes, called: Bools) -> dict[str, float]:
    """Return what samples of this forest's bearing cost on the line, and how many a bad line loses."""
    windows = run.windows[SAMPLED.bearing]
    anomalies = as_inputs(windows[called][-MANY:])
    times = sample_times(pack, anomalies[-1])
    with tempfile.TemporaryDirectory() as folder:
        share = line_share(pack, anomalies, Path(folder) / "share.db", LINE_SHARE, HOUR_S)
        found = count_samples(pack, as_inputs(windows[-MANY:]), Path(folder) / "harsh.db", Harshness())
    return {
        "sample_window_s": times.window_s,
        "sample_features_s": times.features_s,
        "idle_poll_s": times.idle_s,
        "telemetry_line_share": share,
        "samples_kept": found.kept,
        "samples_stored_despite_kills": found.stored_despite_kills,
        "samples_lost": found.lost,
        "samples_doubled": found.doubled,
    }


def loop_figures(run: BearingRun, votes: Sequence[VotesOf]) -> dict[str, float]:
    """Return how long a replacement takes from the fifth false positive on, in real time."""
    with ThreadPoolExecutor() as pool:  # two sites next to each other, which mostly wait
        small, large = pool.map(lambda trees: time_loop(run, votes, trees), (10, 50))
    return {
        "fp5_to_proposal_s": max(small.proposal_s, large.proposal_s),
        "fp5_to_confirmed_t10_s": small.confirmed_s,
        "fp5_to_confirmed_t50_s": large.confirmed_s,
        "idle_commits": small.idle_commits + large.idle_commits,
    }


if __name__ == "__main__":
    main()
