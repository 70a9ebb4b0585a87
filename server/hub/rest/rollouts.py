"""Routes of rollouts."""

from fastapi import APIRouter

rollouts_router = APIRouter(tags=["rollouts"])
