"""What every training imports, for the process that a study's workers are forks of; see exp.work.fork_server.

Neither W&B, which keeps a temporary folder that the first fork would remove, nor any model's own file.
"""

import accelerate  # noqa: F401
import datasets  # noqa: F401
import pyarrow.parquet  # noqa: F401
import transformers.generation.utils
import transformers.models.auto.modeling_auto
import transformers.tokenization_utils_tokenizers  # noqa: F401

import exp.loop.accelerate
import exp.loop.session
import exp.study.recipe
import exp.training.build
import exp.training.fit  # noqa: F401
from exp.compat.transformers import optimization

optimization()
