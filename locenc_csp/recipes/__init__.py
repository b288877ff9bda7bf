"""The recipes: one frozen dataclass each. The command line is made from their fields.

Nothing heavy is imported here, so that ``locenc-csp --help`` answers at once.
"""

from locenc_csp.recipes.data import FILE_SIZE, RANDOM_CONV, Data, Features, default_cache
from locenc_csp.recipes.finetuning import Evaluate, Finetune, HeadName, Mode
from locenc_csp.recipes.importing import Import, ImportTable
from locenc_csp.recipes.pretraining import Pretrain
from locenc_csp.recipes.studies import Demo, Table, TablePart
from locenc_csp.recipes.training import Encoder, Negatives, Schedule

__all__ = [
    "FILE_SIZE",
    "RANDOM_CONV",
    "Data",
    "Demo",
    "Encoder",
    "Evaluate",
    "Features",
    "Finetune",
    "HeadName",
    "Import",
    "ImportTable",
    "Mode",
    "Negatives",
    "Pretrain",
    "Schedule",
    "Table",
    "TablePart",
    "default_cache",
]
