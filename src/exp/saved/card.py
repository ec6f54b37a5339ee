"""The model card that a run saves beside its weights: data, recipe, numbers, curve, versions, how to make it again."""

from __future__ import annotations

import math
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from exp.analysis.hub_names import hub_dataset, hub_metric, hub_model, hub_split
from exp.config.compose import config_dir_flag
from exp.metrics.key import Key
from exp.metrics.names import COMBINED, LOSS
from exp.model.unmerged import is_unmerged
from exp.run.events import read_events
from exp.run.folder import read_record
from exp.run.identity import ADDED, NOT_PART, counts, flatten
from exp.run.result import Result, read_result
from exp.run.said import near
from exp.run.secrets import redacted
from exp.saved.card_usage import with_adapter
from exp.saved.metrics import of_saved_weights

NO_RECIPE = ("hydra", "tracker", "resume", "cache_dir", "hub", "cost", "data", "notes")
PICTURE = "curves.png"


def write(folder: Path, result: Result) -> None:
    """model/README.md of the run in `folder`, whose result.json is not written yet."""
    _write(folder, asdict(result), None)


def refresh(folder: Path, repo_id: str) -> None:
    """The card again, with the name that the model gets on the Hub, and with the curve, drawn where it is missing."""
    from exp.curves.summary import draw_and_judge
    from exp.curves.verdict import Thresholds

    if not (folder / PICTURE).exists():
        draw_and_judge(folder, Thresholds())
    _write(folder, read_result(folder / "result.json") or {}, repo_id)


def _write(folder: Path, result: Mapping[str, Any], repo_id: str | None) -> None:
    model = folder / "model"
    if (folder / PICTURE).exists():
        shutil.copyfile(folder / PICTURE, model / PICTURE)
    text = card(folder, read_record(folder), result, (model / PICTURE).exists(), repo_id)
    (model / "README.md").write_text(redacted(text), encoding="utf-8")
    _write_eval_results(model, read_record(folder), result, folder)


def _write_eval_results(model: Path, record: Mapping[str, Any], result: Mapping[str, Any], folder: Path) -> None:
    """.eval_results/exp.yaml, which the Hub shows on the model's page and the data set's leaderboard: the primary
    metric of each set, from the same values as the card's. Nothing for data that are not on the Hub."""
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    data = record["data"]
    dataset, part = hub_dataset(record["config"]["data"])
    primary = data["metrics"][0] if data.get("metrics") else None
    measured = _measured(folder, record, result)
    entries = [
        EvalResultEntry(
            dataset_id=dataset,
            task_id=part or "default",
            value=found["value"],
            date=record.get("finished") or record["created"],
            notes=f"{Key.of(key).name} on {hub_split(key)}, one run, seed "
            f"{record['seed']}; exp run {record['id']}, condition {record['condition']}",
        )
        for key, found in sorted(measured.items())
        if dataset is not None and Key.of(key).name == primary
    ]
    if entries:
        place = model / ".eval_results"
        place.mkdir(exist_ok=True)
        text = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False)
        (place / "exp.yaml").write_text(redacted(text), encoding="utf-8")


def _measured(folder: Path, record: Mapping[str, Any], result: Mapping[str, Any]) -> Mapping[str, Any]:
    data, step = record["data"], result.get("saved_step")
    events = read_events(folder / "metrics.jsonl")
    return of_saved_weights(events, record["config"], data["objective"], data["greater_is_better"], step)


def card(folder: Path, record: Mapping[str, Any], result: Mapping[str, Any], picture: bool, repo_id: str | None) -> str:
    """Markdown with the metadata block that the Hub reads. `picture`: curves.png lies beside the card."""
    config, data, kind = record["config"], record["data"], record["model"]["type"]
    measured = _measured(folder, record, result)
    name = repo_id or f"{kind}-{data['name'].replace('/', '-')}"
    labels = data.get("predicts") or ", ".join(data["label_names"] or ()) or "a score (regression)"
    library = "peft" if is_unmerged(folder / "model") else "transformers"
    sections = [
        f"---\n{_metadata(record, measured, name, library)}\n---",
        f"# {kind} fine-tuned on {data['name']}",
        f"Predicts {labels} from {' and '.join(data['inputs'])}. {record['model']['parameters']:,} parameters, "
        f"{record['model']['trained_parameters']:,} of them trained.\nMade by exp: run `{record['id']}`, condition "
        f"`{record['condition']}`, seed {record['seed']}.",
        "## Results\n\n" + _results(measured, result),
        f"## Learning curve\n\n![Loss, metrics, rate and gradient norm]({PICTURE})" if picture else "",
        "## Data\n\n" + _data(data),
        "## Recipe\n\n" + _table(("setting", "value"), _recipe(config)),
        "## Versions\n\n" + _versions(record),
        "## How to make it again\n\n" + _again(folder, record),
        "## How to use it\n\n" + _usage(repo_id, data, folder / "model"),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _metadata(record: Mapping[str, Any], measured: Mapping[str, Any], name: str, library: str = "transformers") -> str:
    from huggingface_hub import EvalResult, ModelCardData

    config, data = record["config"], record["data"]
    dataset, part = hub_dataset(config["data"])
    results = [
        EvalResult(
            task_type=data["pipeline"],
            dataset_type=dataset or data["name"],
            dataset_name=data["name"],
            dataset_config=part,
            dataset_split=hub_split(key),
            metric_type=hub_metric(metric),
            metric_name=key,
            metric_value=found["value"],
            metric_args={"n": 1, "seed": record.get("seed"), "condition": record.get("condition")},
        )
        for key, found in sorted(measured.items())
        if (metric := Key.of(key).name) not in (LOSS, COMBINED)
    ]
    return ModelCardData(
        library_name=library,
        pipeline_tag=data["pipeline"],
        tags=["exp", record["model"]["type"]],
        base_model=hub_model(config["model"]),
        datasets=[dataset] if dataset else None,
        metrics=sorted({result.metric_type for result in results}) or None,
        model_name=name,
        eval_results=results or None,
    ).to_yaml()


def _results(measured: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    if not measured:
        return "Nothing was evaluated."
    rows = [(key, f"{found['value']:.4f}", found["step"]) for key, found in sorted(measured.items())]
    lines = _table(("metric of these weights", "value", "step"), rows)
    best = result.get("objective", {})
    value = best.get("value")
    if value is not None and math.isfinite(value):  # null or NaN: the objective was never measured
        lines += f"\n\nThe run's best {best['name']} was {value:.4f}, at step {best['step']}."
    return lines


def _data(data: Mapping[str, Any]) -> str:
    unit = data.get("counted_in", "tokens")  # of images and sound the task says it
    trained = "a stream" if "stream" in data else f"{data['train_examples']:,} training examples"
    sizes = [trained if "stream" in data else f"{trained} ({data['train_tokens']:,} {unit})"]
    sizes += [
        f"{size:,} in evaluation{f' ({suffix})' if suffix else ''}" for suffix, size in data["eval_examples"].items()
    ]
    floors = data["chance"]["metrics"]
    guessing = ", ".join(f"{name} {level:.3f}" for name, (level, _) in floors.items())
    commonest = f"\nGuessing gives {guessing} on the evaluation set." if guessing else ""
    return f"{data['name']}: {', '.join(sizes)}. Fingerprint of the contents: `{data['fingerprint'][:16]}`.{commonest}"


def _recipe(config: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Groups and root settings, without what is no part of a recipe."""
    left_out = {*NO_RECIPE, *NOT_PART} - {"seed", "init_seed", "data_seed", "dropout_seed"}
    for key, value in flatten(config):
        if key.split(".")[0] == "distributed" and (not counts(key) or value == ADDED[key]):
            continue
        if key.split(".")[0] not in left_out and value is not None and not key.endswith("_partial_"):
            yield key.removesuffix("._target_"), value


def _versions(record: Mapping[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
    hardware = record["hardware"]
    machine = ", ".join(hardware.get("gpus", [])) or f"{hardware['cpu']}, {hardware['cores']} cores"
    code = record["git"]
    commit = f"\n\nCode: commit `{code['commit']}`{' with changes' if code['dirty'] else ''}." if code else ""
    return f"{packages}\n\nMachine: {machine}.{commit}"


def _again(folder: Path, record: Mapping[str, Any]) -> str:
    flags = config_dir_flag(record.get("search_path") or [])
    again = shlex.join(["python", "-m", "exp.train", *flags, *overrides(folder, record)])
    place = near(folder) if folder.absolute().is_relative_to(Path.cwd()) else folder.name
    compared = shlex.join(["python", "-m", "exp.reproduce", place])
    return (
        f"```bash\n{again}\n```\n\nFrom the run folder itself, with a comparison of every number:\n\n"
        f"```bash\n{compared}\n```"
    )


def overrides(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """The words of the command line that make up the run, a sweep's choice of this one included."""
    import yaml

    try:
        words = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        words = [word for word in record["command"][1:] if "=" in word]
    # These say where this run lies and who watched it.
    return [word for word in words or [] if not word.lstrip("+~").startswith(("hydra.", "tracker", "hub.", "resume="))]


def _usage(repo_id: str | None, data: Mapping[str, Any], model: Path) -> str:
    place, pipeline = repo_id or "<this folder>", data["pipeline"]
    if is_unmerged(model):
        return with_adapter(model, place)
    if "usage" in data:  # of a task that transformers has no pipeline for
        return f"```python\n{data['usage'].replace('PLACE', place)}\n```"
    texts = ", ".join(f'"{key}": "..."' for key in ("text", "text_pair")[: len(data["inputs"])])
    given = f"{{{texts}}}" if pipeline == "text-classification" else '"..."'
    return (
        "```python\nfrom transformers import pipeline\n\n"
        f'predict = pipeline("{pipeline}", model="{place}")\n'
        f"predict({given})\n```"
    )


def _table(head: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    lines += [f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)
