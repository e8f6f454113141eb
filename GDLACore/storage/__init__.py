"""The models on this computer: which there are, and how they are fetched, imported and removed.

Needs only the standard library and numpy, and knows nothing of windows: a long piece of work is
called with a ``Control``, and ``Task`` runs it in the background.
"""

from GDLACore.storage.background import Event, Failed, Finished, Progress, Stopped, Task
from GDLACore.storage.checking import check_model
from GDLACore.storage.control import Control
from GDLACore.storage.download import download
from GDLACore.storage.examination import Candidate, Examination, examine
from GDLACore.storage.folder import FOLDER_VARIABLE, ensure_folder, model_folder
from GDLACore.storage.importing import ImportReport, import_model
from GDLACore.storage.listing import find_model, list_models, size_on_disk
from GDLACore.storage.model import ABSENT, DAMAGED, READY, StoredModel
from GDLACore.storage.remote import RemoteFile, remote_file
from GDLACore.storage.removal import remove_model

__all__ = [
    "ABSENT",
    "DAMAGED",
    "FOLDER_VARIABLE",
    "READY",
    "Candidate",
    "Control",
    "Event",
    "Examination",
    "Failed",
    "Finished",
    "ImportReport",
    "Progress",
    "RemoteFile",
    "Stopped",
    "StoredModel",
    "Task",
    "check_model",
    "download",
    "ensure_folder",
    "examine",
    "find_model",
    "import_model",
    "list_models",
    "model_folder",
    "remote_file",
    "remove_model",
    "size_on_disk",
]
