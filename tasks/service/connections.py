"""Whether databases, artifacts and servers can be reached as the settings say: None, or what is wrong in a sentence."""

from __future__ import annotations

import asyncio
import os
import uuid
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from ..settings import Settings
from .databases import Database

PATIENCE = 10.0


def reach_database(database: Database) -> str | None:
    """Connects to a database server and asks it something; a file that is not there yet is fine."""
    if database.file is not None:
        parent = next(folder for folder in database.file.parents if folder.exists())
        return None if os.access(parent, os.W_OK) else f"{parent} cannot be written"
    # Both drivers can be used this way, each reading the URL as the program will that gets it.
    try:
        asyncio.run(asyncio.wait_for(_ask(database), PATIENCE))
    except TimeoutError:
        return f"{database.address} did not answer in {PATIENCE:.0f} s"
    except (OSError, SQLAlchemyError, ValueError) as error:
        return f"{database.address}: {_one_line(getattr(error, 'orig', None) or error)}"
    except Exception as error:  # asyncpg's own, which SQLAlchemy lets through while connecting
        if type(error).__module__.partition(".")[0] != "asyncpg":
            raise
        return f"{database.address}: {_one_line(error)}"
    return None


def reach_artifacts(settings: Settings) -> str | None:
    """Writes and removes a small object where the artifacts go."""
    folder = settings.artifact_folder
    if folder is not None:
        parent = next(place for place in (folder, *folder.parents) if place.exists())
        return None if os.access(parent, os.W_OK) else f"{parent} cannot be written"
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, prefix = settings.artifact_root.removeprefix("s3://").partition("/")
    probe = str(Path(prefix) / f".plumbline-doctor-{uuid.uuid4().hex}")
    config = Config(connect_timeout=PATIENCE, read_timeout=PATIENCE, retries={"total_max_attempts": 1})
    try:
        client = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"), config=config)
        client.put_object(Bucket=bucket, Key=probe, Body=b"")
        client.delete_object(Bucket=bucket, Key=probe)
    except (BotoCoreError, ClientError, ValueError) as error:
        return f"{settings.artifact_root}: {_one_line(error)}"
    return None


def reach_servers(settings: Settings) -> str | None:
    """Signs in to those of the two servers that answer; one that is down is fine."""
    auth = (settings.user, settings.password.get_secret_value()) if settings.password is not None else None
    asked = {
        "MLflow": ("GET", f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"),
        "Prefect": ("POST", f"{settings.prefect_url}/deployments/count"),
    }
    for name, (method, url) in asked.items():
        try:
            answer = httpx.request(method, url, auth=auth, timeout=PATIENCE, trust_env=False)
        except httpx.HTTPError:
            continue
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            return f"{name} at {settings.reachable_host} does not take it"
    return None


async def _ask(database: Database) -> None:
    engine = create_async_engine(database.url)
    try:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    finally:
        await engine.dispose()


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
