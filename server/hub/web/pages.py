"""Pages for people."""

from fastapi import APIRouter

web_router = APIRouter(include_in_schema=False)
