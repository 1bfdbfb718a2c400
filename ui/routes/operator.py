"""Routes for operators: the service page, and the report card of the current model."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, Response

from batch.storage import objects
from ui.data import lake
from ui.data.status import flattened, headlines, model_card, query_statuses, set_aside_listeners
from ui.dependencies import ServicesDep, require_operator
from ui.page.rendering import render
from ui.responses import Refused

MAX_REPORT_FIGURES = 80
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
"""The report is a file from the models folder: it runs apart from the player's own pages."""

router = APIRouter(dependencies=[Depends(require_operator)])


@router.get("/view/status", response_class=HTMLResponse)
def get_service_page(services: ServicesDep) -> str:
    """What the streaming queries, the model and the lake's tables of refused input say."""
    settings = services.settings
    model = model_card(settings.models.root)
    rejected_tracks = rejected_events = lake.NO_REJECTIONS
    lake_error = ""
    try:
        rejected_tracks = lake.rejected_tracks(settings.lake, settings.library.root)
        rejected_events = lake.rejected_events(settings.lake)
    except lake.LakeUnavailable as error:
        lake_error = str(error)
    statuses, queue = query_statuses(services.db, datetime.now(UTC)), services.event_queue.state
    return render(
        "status",
        headlines=headlines(statuses, model, queue.waiting),
        queue=queue,
        queries=statuses,
        set_aside=set_aside_listeners(services.db),
        model=model,
        results=flattened(model.results)[:MAX_REPORT_FIGURES] if model else [],
        rejected_tracks=rejected_tracks,
        rejected_events=rejected_events,
        lake_error=lake_error,
    )


@router.get("/report")
def get_report(services: ServicesDep) -> Response:
    """The report card, sandboxed."""
    model = model_card(services.settings.models.root)
    if model is None or model.report is None:
        raise Refused(404, "No report card yet. Run ./spark-submit.sh batch/evaluate.py.")
    headers = {"Content-Security-Policy": REPORT_POLICY}
    return HTMLResponse(objects.read_text(model.report), headers=headers)
