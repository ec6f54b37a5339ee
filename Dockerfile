# exp in a container; everything it writes goes into the folder that is mounted as /work.
#   docker build -t exp .                                                          # for a CPU
#   docker build -t exp:cuda --build-arg TORCH_INDEX=https://pypi.org/simple .     # for NVIDIA's GPUs: torch brings CUDA
#   docker run --rm -u "$(id -u):$(id -g)" -v "$PWD:/work" exp train data=reviews
#   docker run --rm --gpus all --shm-size 8g -u "$(id -u):$(id -g)" -v "$PWD:/work" exp:cuda train precision=bf16
FROM python:3.11-slim-bookworm

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=trackio,report,vision,audio,tensorboard,mlflow,optimizers,bnb,submitit,joblib,postgres

# git: run.json names the commit of the code that is mounted.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

WORKDIR /src
# The largest layer first: it stays while exp changes. What torch needs comes with the rest.
COPY requirements.lock ./
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN pip install --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.lock)"

COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY conf conf
COPY src src
# Any user may run it, with a home for caches.
RUN pip install --constraint requirements.lock ".[$EXTRAS]" \
    && mkdir --mode=1777 /home/anyone
ENV HOME=/home/anyone
WORKDIR /work
USER 65534
ENTRYPOINT ["exp"]
