"""``python train.py`` from the command line to the files of a run, offline, and everything that it refuses."""

import csv
import hashlib
import json
import logging
import math
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from safetensors import safe_open

from rct_lightning.backbone import available_accelerators, load_template
from rct_lightning.config import load_run_config
from rct_lightning.dialogue import content_hash
from rct_lightning.generation import SAMPLE_PROMPTS
from rct_lightning.losses import TERMS
from rct_lightning.runs import RunDir
from rct_lightning.template import DialogueTemplate

ROOT = Path(__file__).parents[1]
HEADER = "step,lm_loss,presence_loss,coherence_loss,continuity_loss,total_loss,phase"
SHORT = "debug=default trainer.accelerator=cpu trainer.max_epochs=1 trainer.limit_train_batches=3".split()
GUARD = '''
import atexit, os, socket, sys

def refuse(what, allowed):
    def guarded(*arguments, **options):
        if not allowed(arguments):
            with open(os.environ["GUARD_NETWORK"], "a") as file:
                file.write(f"{what} {arguments[1:] or arguments}\\n")
            raise OSError("the network is blocked")
        return original(*arguments, **options)
    return guarded

for owner, name in ((socket.socket, "connect"), (socket.socket, "connect_ex"), (socket.socket, "sendto"),
                    (socket, "getaddrinfo")):
    original = getattr(owner, name)
    local = (lambda a: a[0].family == socket.AF_UNIX) if owner is socket.socket else (lambda a: False)
    guard = refuse(name, local)
    guard.__closure__  # one cell each: the loop's names are rebound below
    setattr(owner, name, guard)

def remember():
    with open(os.environ["GUARD_MODULES"], "w") as file:
        file.write("\\n".join(sys.modules))
atexit.register(remember)
'''
