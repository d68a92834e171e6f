# What the rules share: the package, the checked config, and where the files of this workflow are.
import json
import os
import platform
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

# The repository, also when another workflow uses this one as a module.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).resolve().parents[1]
PUBLISHED = f"{ROOT}/resources/published"
# Jobs use the interpreter and the package of this workflow, activated or not, installed or not.
sys.path.insert(0, str(ROOT))
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
)

from scaling.bigram.study import cells as bigram_cells
from scaling.bigram.study import flows as bigram_flows
from scaling.bigram.study import jobs as bigram_jobs
from scaling.bigram.study import matrices as bigram_matrices
from scaling.bigram.study import memory as bigram_memory
from scaling.bigram.study import training_arguments as bigram_arguments
from scaling.command import InputError
from scaling.llm.family.members import by_curve
from scaling.llm.family.members import members as family_members
from scaling.llm.family.members import recipe_of
from scaling.plan.config import checked, read_schemas
from scaling.plan.figures import drawn, pictures, read_drawings, read_overview
from scaling.plan.jobs import (
    asked,
    attempt,
    by_name,
    command_options,
    counted_sizes,
    file_name,
    is_remote,
    lloyd_networks,
    local_files,
    measurement_memory,
    one_of,
    table_caption,
    text_file,
    training_memory,
    training_minutes,
    with_packages,
)
from scaling.plan.run import check_writable, closing_lines, hold_lock
from scaling.sources import fingerprint
from scaling.toy.correlated import cells as correlated_cells
from scaling.toy.correlated import curves as correlated_curves
from scaling.toy.correlated import training_arguments as correlated_arguments
from scaling.toy.study import (
    cells_by_curve,
    distinct_cells,
    interventions,
    stacks,
    stages as training_stages,
    training_arguments,
)
from scaling.toy.summary import trained


def checked_config(config):
    """The config with every default, or one line that says which key, which value and what is allowed."""
    try:
        config = checked(config, read_schemas(ROOT / "workflow" / "schemas"))
    except InputError as error:
        raise WorkflowError(str(error)) from None
    return config | {"llm": with_packages(config["llm"], report=workflow.is_main_process)}


def source_fingerprint(*modules):
    """Fingerprint of the package's code that a command runs, as a parameter of its rule."""
    return fingerprint(modules)
