"""The service of one machine: MLflow server, Prefect server, one worker and the deployments.

`up` starts what is missing, `down` ends exactly what `up` started, `status` shows it.
"""

from .databases import upgrade
from .lifecycle import down, up
from .processes import ServiceError
from .record import service_environment
from .status import DeploymentStatus, ProcessStatus, Status, status

__all__ = [
    "DeploymentStatus",
    "ProcessStatus",
    "ServiceError",
    "Status",
    "down",
    "service_environment",
    "status",
    "up",
    "upgrade",
]
