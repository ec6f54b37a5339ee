"""Fails in words when Hydra changes a name that exp.compat.hydra uses."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn, JobStatus

from exp.compat import hydra as private
from exp.compat import hydra_repository
from exp.options.confdir import conf_dir


def test_the_flags_are_hydras() -> None:
    given = private.flags_parser().parse_intermixed_args(["-m", "seed=1", "-cd", "mine", "lr=2"])
    assert (given.multirun, given.config_dir, given.overrides) == (True, "mine", ["seed=1", "lr=2"])
    names = {
        "help",
        "hydra_help",
        "cfg",
        "info",
        "shell_completion",
        "config_path",
        "config_name",
        "experimental_rerun",
    }
    assert names <= set(vars(given))


def test_a_context_runs_no_callbacks(tmp_path: Path) -> None:
    with initialize_config_dir(str(conf_dir())):
        made = private.context(GlobalHydra.instance().config_loader(), ("exp.x",))
    assert made.callbacks.callbacks == [] and made.execution_whitelist == ("exp.x",)


def test_what_a_job_raised_is_raised_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    failed = JobReturn(status=JobStatus.FAILED)
    failed.return_value = ValueError("why")
    with pytest.raises(ValueError, match="why"):
        private.returned(failed)
    done = JobReturn(status=JobStatus.COMPLETED)
    done.return_value = 3
    assert private.returned(done) == 3
    assert capsys.readouterr().err == ""


def test_a_loader_over_folders_of_our_choice(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("x: 1\n")
    loader = private.loader_of(
        [("hydra", "pkg://hydra.conf"), ("main", f"file://{tmp_path}"), ("schema", "structured://")]
    )
    from hydra.types import RunMode

    assert loader.load_configuration("mine", ["x=2"], RunMode.RUN).x == 2
    assert str(tmp_path) in [source.path for source in private.sources_of(loader)]


def test_a_failed_jobs_value_is_read_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Hydra's property prints the overrides before it raises; afterwards it is Hydra's again."""

    job = JobReturn(overrides=["x=1"], status=JobStatus.FAILED)
    job.return_value = ValueError("why")
    with private.quiet_failures(), pytest.raises(ValueError, match="why"):
        _ = job.return_value
    assert capsys.readouterr().err == ""
    with pytest.raises(ValueError, match="why"):
        _ = job.return_value
    assert "Error executing job" in capsys.readouterr().err


def test_values_are_put_into_a_composed_config_as_hydra_does() -> None:
    with initialize_config_dir(str(conf_dir())):
        loader = GlobalHydra.instance().config_loader()
        from hydra.types import RunMode

        config = loader.load_configuration("train", ["tracker=none"], RunMode.RUN)
        assert private.put_values(config, ["optimizer.lr=0.5", "seed=7"])
        assert (config.optimizer.lr, config.seed) == (0.5, 7)
        assert not private.put_values(config, ["optimizer.lrr=0.5"]) and not private.put_values(config, ["seed=1,2"])


def test_a_file_is_parsed_once_a_state_of_it(tmp_path, monkeypatch):
    from hydra._internal.core_plugins import file_config_source

    from exp.config.compose import compose

    option = tmp_path / "model" / "parsed.yaml"
    option.parent.mkdir()
    option.write_text("_target_: exp.model.own.Own\nsize: 1\n")
    words = ["model=parsed"]
    assert compose(words, config_dir=tmp_path).model.size == 1
    parsed = []
    real = file_config_source.FileConfigSource.load_config

    def load_config(self, config_path):
        parsed.append(config_path)
        return real(self, config_path)

    monkeypatch.setattr(file_config_source.FileConfigSource, "load_config", load_config)
    found = compose([*words, "model.size=2"], config_dir=tmp_path)
    assert found.model.size == 2 and parsed == []
    assert compose(words, config_dir=tmp_path).model.size == 1  # what one composition changed stays its own
    option.write_text("_target_: exp.model.own.Own\nsize: 30\n")
    assert compose(words, config_dir=tmp_path).model.size == 30 and parsed == ["model/parsed"]


def test_options_are_merged_once_a_state_of_them(tmp_path, monkeypatch):
    from exp.config.compose import compose

    option = tmp_path / "model" / "merged.yaml"
    option.parent.mkdir()
    option.write_text("_target_: exp.model.own.Own\nsize: 1\n")
    words, merged, real = ["model=merged"], [], hydra_repository.merge

    def merge(loader, defaults, repo):
        merged.append(defaults)
        return real(loader, defaults, repo)

    monkeypatch.setattr(hydra_repository, "merge", merge)
    assert compose([*words, "model.size=2"], config_dir=tmp_path).model.size == 2
    found = compose([*words, "seed=3"], config_dir=tmp_path)
    assert (found.model.size, found.seed, len(merged)) == (1, 3, 1)  # what one composition changed stays its own
    other = compose([*words, "optimizer=sgd"], config_dir=tmp_path)
    assert (other.model.size, "momentum" in other.optimizer, len(merged)) == (1, True, 2)
    option.write_text("_target_: exp.model.own.Own\nsize: 30\n")
    assert compose(words, config_dir=tmp_path).model.size == 30 and len(merged) == 3


@pytest.mark.parametrize("words", [["seed=3"], ["data=mrpc", "+optimizer.x=1"], ["experiment=debug"]], ids=" ".join)
def test_what_was_merged_before_is_hydras_own(words, monkeypatch):
    """Every node: its value, its type and its flags."""
    from exp.config.compose import compose

    compose(words)
    kept = _nodes(compose(words))
    monkeypatch.setattr(hydra_repository, "merged_once", hydra_repository.merge)
    assert kept == _nodes(compose(words)) and len(kept) > 200


def _nodes(config):
    found, waiting = {}, [config]
    while waiting:
        node = waiting.pop()
        about, held = node._metadata, node._value()
        inside = list(held.values()) if isinstance(held, dict) else held if isinstance(held, list) else []
        found[node._get_full_key(None)] = (
            type(node),
            str(held) if not inside else None,
            about.object_type,
            about.ref_type,
            about.optional,
            about.flags,
        )
        waiting += inside
    return found
