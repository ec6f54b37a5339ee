"""What every training imports, for the process that a study's workers are forks of; see exp.work.fork_server.

Neither W&B, which keeps a temporary folder that the first fork would remove, nor any model's own file.
"""

import importlib
import os

from datasets import fingerprint

from exp.compat.transformers import import_light

SHARED = (
    *("transformers.optimization", "transformers.generation.utils", "transformers.models.auto.modeling_auto"),
    *("transformers.tokenization_utils_tokenizers", "pyarrow.parquet", "exp.study.recipe"),
    *("exp.training.build", "exp.training.fit", "exp.loop.accelerate", "exp.loop.session"),
)

import_light()
for name in SHARED:
    importlib.import_module(name)
# Else all workers would give their files the same "random" names.
os.register_at_fork(after_in_child=fingerprint.fingerprint_rng.seed)
