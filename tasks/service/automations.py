"""What Prefect does by itself: tells people of violations and failures, and sees a host that is gone.

A run that ends well may bear any name (`Unchanged`, `Nothing new`), so that the sign of life which is waited for is any
event of the run: were it `Completed`, a run would be called crashed after it has ended under another name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..settings import HEARTBEAT_SECONDS, Settings
from .deployments import client_of

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.events.schemas.automations import AutomationCore, EventTrigger

VIOLATIONS, FAILURES, LOST = "plumbline-violations", "plumbline-failures", "plumbline-lost"
BLOCK = "plumbline-notify"
WATCH_FLOW, VIOLATED_STATE = "watch", "Completed with violations"
LOST_SECONDS = 3 * HEARTBEAT_SECONDS
"""After such a silence a flow run counts as lost: two signs of life may be late."""

_RUN = "{{ flow.name }}/{{ flow_run.name }}: {{ flow_run.state.name }}"


def apply_automations(settings: Settings) -> None:
    """Creates or updates the automations, at the running Prefect server.

    Without `notify_url` nobody is told anything: only the one that marks lost runs remains.
    """
    with client_of(settings) as client:
        block = _notification_block(settings)
        wanted = {each.name: each for each in _automations(block)}
        for name in (VIOLATIONS, FAILURES, LOST):
            _put(client, name, wanted.get(name))


def _put(client: SyncPrefectClient, name: str, wanted: AutomationCore | None) -> None:
    """Exactly one automation of that name, or none; one that a person has paused stays paused."""
    former = client.read_automations_by_name(name)
    for each in former[1:] if wanted else former:
        client.delete_automation(each.id)
    if wanted is None:
        return
    if former:
        client.update_automation(former[0].id, wanted.model_copy(update={"enabled": former[0].enabled}))
    else:
        client.create_automation(wanted)


def _automations(block: UUID | None) -> Iterator[AutomationCore]:
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState, SendNotification
    from prefect.events.schemas.automations import AutomationCore, Posture

    alive = "prefect.flow-run.heartbeat"
    crash = ChangeFlowRunState(
        state=StateType.CRASHED,
        name="Crashed",
        message=f"No sign of life for {LOST_SECONDS} s: its process or its host is gone.",
    )
    yield AutomationCore(
        name=LOST,
        description="Marks a flow run as crashed whose process or host is gone.",
        trigger=_trigger(
            {"prefect.flow-run.*"},
            after={alive},
            posture=Posture.Proactive,
            within=timedelta(seconds=LOST_SECONDS),
        ),
        actions=[crash],
    )
    if block is None:
        return
    tell = SendNotification(block_document_id=block, subject=f"Plumbline {_RUN}", body="{{ flow_run.state.message }}")
    yield AutomationCore(
        name=VIOLATIONS,
        description="Tells when what arrives is no longer explained as it was at promotion.",
        trigger=_trigger(
            {f"prefect.flow-run.{VIOLATED_STATE}"},
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": WATCH_FLOW},
        ),
        actions=[tell],
    )
    yield AutomationCore(
        name=FAILURES,
        description="Tells when a flow run has failed or crashed.",
        trigger=_trigger({f"prefect.flow-run.{state}" for state in ("Failed", "Crashed", "TimedOut")}),
        actions=[tell],
    )


def _trigger(expect: set[str], **more: Any) -> EventTrigger:
    """Fires for each flow run by itself."""
    from prefect.events.schemas.automations import EventTrigger, Posture

    settings = {"posture": Posture.Reactive, "threshold": 1, **more}
    return EventTrigger(
        expect=expect,
        match={"prefect.resource.id": "prefect.flow-run.*"},
        for_each={"prefect.resource.id"},
        **settings,
    )


def _notification_block(settings: Settings) -> UUID | None:
    """The block that sends; of a web hook as JSON with ``subject`` and ``body``, else as Apprise reads the URL."""
    if settings.notify_url is None:
        return None
    from prefect.blocks.notifications import AppriseNotificationBlock, CustomWebhookNotificationBlock
    from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

    url = settings.notify_url.get_secret_value()
    block: AppriseNotificationBlock | CustomWebhookNotificationBlock
    if url.startswith(("http://", "https://")):
        # The address may hold a token, so it is kept where Prefect keeps secrets.
        message = {"subject": "{{subject}}", "body": "{{body}}"}
        secrets: Any = {"address": url}
        block = CustomWebhookNotificationBlock(name="plumbline", url="{{address}}", json_data=message, secrets=secrets)
    else:
        block = AppriseNotificationBlock(url=url)  # type: ignore[arg-type]  # pydantic makes a secret of it
    server = {PREFECT_API_URL: settings.prefect_url, PREFECT_API_AUTH_STRING: settings.auth_string}
    with temporary_settings({name: value for name, value in server.items() if value is not None}):
        return block.save(BLOCK, overwrite=True)  # type: ignore[return-value]  # not awaitable outside a loop
