"""What a coordinator does with its workers; whole studies with real processes are in tests/study."""

from __future__ import annotations

from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from exp.errors import ExpError
from exp.work.coordinator import GRACE, Coordinator
from exp.work.detached import MARK


def test_workers_end_when_the_storage_is_gone_and_it_is_not_asked_again(monkeypatch):
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.setattr("exp.work.coordinator.ask_to_stop", Mock())
    monkeypatch.setattr("exp.work.coordinator.living_coordinator", Mock(return_value=None))
    queue, workers = Mock(), Mock()
    queue.trials.side_effect = ExpError("the study cannot be written: study.journal is gone")
    settings = SimpleNamespace(n_jobs=2)
    coordinator = Coordinator(queue, Mock(), settings, launched=lambda queue, say: workers, progress=Mock())
    with pytest.raises(ExpError, match="is gone"):
        coordinator.run()
    assert queue.trials.call_count == 1
    assert [call[0] for call in workers.method_calls] == ["stop", "leave"]
    workers.stop.assert_called_once_with(GRACE)
