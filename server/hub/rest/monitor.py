"""Routes of the monitor: alerts, drift, losses."""

from fastapi import APIRouter

monitor_router = APIRouter(tags=["monitor"])
