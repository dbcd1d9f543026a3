"""Opens the exports of a study with the programs they are for, and compares every number with the study folder.

    layermix export optuna DIR && layermix export tensorboard DIR && layermix export csv DIR \
      && layermix export parquet DIR && layermix export parquet DIR --table curves
    python bench/check_exports.py DIR        # needs: optuna tensorboard pyarrow
"""

import csv
import json
import math
import pathlib
import sys

import optuna
import pyarrow
import pyarrow.parquet
import tensorboard
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

folder = pathlib.Path(sys.argv[1])
study = json.loads((folder / "study.json").read_text())


def result(trial):
    path = folder / "trials" / trial["id"] / "result.json"
    return json.loads(path.read_text()) if path.exists() else None


def check_optuna():
    loaded = optuna.load_study(
        study_name=study["name"], storage=JournalStorage(JournalFileBackend(str(folder / "optuna.log")))
    )
    candidates = {c["name"]: c for c in study["candidates"]}
    for trial in loaded.trials:
        candidate = candidates[trial.user_attrs["candidate"]]
        for path, value in candidate["values"].items():
            assert trial.params[path] == value, (trial.params, candidate["values"])
        assert trial.user_attrs["pattern"] == candidate["pattern"]
    complete = [t for t in loaded.trials if t.state == optuna.trial.TrialState.COMPLETE]
    assert len(complete) == len(loaded.trials) or any(r is None or r["status"] != "done" for r in map(result, study["trials"]))
    best = loaded.best_trial
    by_candidate = {}
    for t in complete:
        by_candidate.setdefault(t.user_attrs["candidate"], []).append(t.value)
    ranking = json.loads((folder / "ranking.json").read_text()) if (folder / "ranking.json").exists() else None
    if ranking and ranking["by"] == loaded.user_attrs["measure"]:
        for entry in ranking["ranking"]:
            if entry["score"] is not None and entry["state"] == "complete":
                values = by_candidate[entry["candidate"]]
                assert math.isclose(sum(values) / len(values), entry["score"], rel_tol=1e-12)
    points = sum(len(t.intermediate_values) for t in loaded.trials)
    optuna.importance.get_param_importances(loaded, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    print(
        f"optuna {optuna.__version__}: {len(loaded.trials)} trials, {len(complete)} complete, {points} intermediate values, "
        f"best {best.value:.6g} ({best.user_attrs['candidate']}); means equal the ranking's"
    )


def check_tensorboard():
    runs = scalars = compared = 0
    ends = {}
    for trial in study["trials"]:
        found = result(trial)
        if found and found["status"] == "done":
            ends.setdefault(found["steps"], set()).add(round(found["metrics"]["loss"], 5))
    for path in sorted((folder / "tensorboard").rglob("events.out.tfevents.*")):
        accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0})
        accumulator.Reload()
        runs += 1
        for tag in accumulator.Tags()["scalars"]:
            scalars += len(accumulator.Scalars(tag))
        last = accumulator.Scalars("eval/loss")[-1]
        assert any(math.isclose(last.value, loss, rel_tol=1e-4, abs_tol=1e-4) for loss in ends.get(last.step, ())), path
        compared += 1
    print(f"tensorboard {tensorboard.__version__}: {runs} runs, {scalars} scalars; {compared} last held-out losses equal the results")


def check_tables():
    trials = pyarrow.parquet.read_table(folder / "trials.parquet")
    rows = trials.to_pylist()
    with open(folder / "trials.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(rows) == len(lines) == len(study["trials"])
    for trial, row, line in zip(study["trials"], rows, lines):
        found = result(trial)
        assert row["trial"] == line["trial"] == trial["id"]
        assert row["seed"] == int(line["seed"]) == trial["seed"]
        if found and found["status"] == "done":
            assert row["loss"] == float(line["loss"]) == found["metrics"]["loss"]
            assert row["tokens"] == found["tokens"]
    curves = pyarrow.parquet.read_table(folder / "curves.parquet")
    print(
        f"pyarrow {pyarrow.__version__}: trials {trials.num_rows} x {trials.num_columns}, curves {curves.num_rows} x "
        f"{curves.num_columns}; losses and tokens equal the results to the last bit, in Parquet and CSV"
    )


check_optuna()
check_tensorboard()
check_tables()
