"""MLflow as the registry of record: experiments, runs, models, aliases.

Every call may be repeated: what a killed process left half done is found and finished, or put
aside, and nothing is there twice. A run is logged when everything about it is known, in one batch
per candidate.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ratchet.errors import ConflictError
from ratchet.packaging import bundle as files
from ratchet.packaging.signature import Signature
from ratchet.registry.mlflow_client import connect, faults, quietly, relocate
from ratchet.registry.mlflow_live import LiveLog
from ratchet.registry.mlflow_model import DATA, ModelFiles, write_model_files
from ratchet.registry.mlflow_runs import RUN, log_run, make_tags
from ratchet.registry.runs import RunLog
from ratchet.registry.versions import ModelVersion, NewVersion

DIGEST, VERSION = "ratchet.bundle_digest", "ratchet.version"


class MlflowTracking:
    """MLflow's tracking and registry, for one project.

    Args:
        uri: ``sqlite:////absolute/mlflow.db``, ``postgresql://...`` or ``http://server:5000``.
        artifacts: where a new experiment keeps its files, as an address; None: as the server does.
        experiment: the experiment's name, the project's.
    """

    def __init__(self, uri: str, artifacts: str | None, experiment: str) -> None:
        self.uri = uri
        self.artifacts = artifacts
        self.experiment = experiment
        self._connection: Any = None
        self._experiment_id: str | None = None

    @contextmanager
    def _client(self) -> Iterator[Any]:
        if self._connection is None:
            self._connection = connect(self.uri)
        with quietly(), faults(self.uri):
            yield self._connection

    def log_run(self, run: RunLog, artifacts: Path | None = None) -> str:
        """Log a pipeline run and its candidates.

        A run that was logged completely before is left as it is; one that was not is put aside.

        Args:
            run: everything about it.
            artifacts: a folder whose files are kept with the run: plots, reports.

        Returns:
            MLflow's id of the run.

        Raises:
            StorageError, UnreachableError: MLflow cannot be used.
        """
        with self._client() as client:
            experiment = self._ensure_experiment(client)
            return log_run(client, experiment, run, artifacts)

    def live(self, run_id: str) -> LiveLog:
        """Where the epochs of a pipeline run that trains are logged as they happen."""
        return LiveLog(self._client, self._ensure_experiment, run_id)

    def tag_run(self, tracked_run: str, tags: Mapping[str, str]) -> None:
        """Add tags to a logged run: what became of it."""
        with self._client() as client:
            client.log_batch(tracked_run, tags=make_tags(tags))

    def register(self, model: str, new: NewVersion) -> ModelVersion:
        """Register a bundle as a version of ``model``, or find the version it already is.

        Raises:
            StorageError, UnreachableError: MLflow cannot be used.
            DataError: the folder is no bundle.
        """
        with self._client() as client:
            found = _find_version(client, model, new)
            if found is None:
                self._ensure_model(client, model)
                model_id, location = self._upload(client, model, new)
                made = client.create_model_version(
                    model,
                    source=f"models:/{model_id}" if self.uri.startswith("http") else location,
                    run_id=new.tracked_run,
                    tags={RUN: new.run_id, DIGEST: new.bundle_digest, VERSION: str(new.version)}
                    | dict(new.tags),
                    description=new.description or None,
                    model_id=model_id,
                )
                linked = json.dumps([{"name": model, "version": made.version}])
                client.set_logged_model_tags(model_id, {"mlflow.modelVersions": linked})
                found = _version_of(made)
            return found

    def versions(self, model: str) -> tuple[ModelVersion, ...]:
        """All registered versions of ``model``, oldest first."""
        with self._client() as client:
            found = client.search_model_versions(f"name = '{model}'", max_results=10_000)
            return tuple(_version_of(each) for each in sorted(found, key=lambda v: int(v.version)))

    def aliases(self, model: str) -> dict[str, str]:
        """What each alias of ``model`` points to; empty when there is no such model."""
        with self._client() as client:
            found = client.search_registered_models(f"name = '{model}'", max_results=1)
            if not found:
                return {}
            return {alias: str(version) for alias, version in found[0].aliases.items()}

    def set_alias(self, model: str, alias: str, version: str | None) -> None:
        """Point an alias to a version, or remove it (None)."""
        with self._client() as client:
            if version is None:
                client.delete_registered_model_alias(model, alias)
            else:
                client.set_registered_model_alias(model, alias, version)

    def _ensure_experiment(self, client: Any) -> str:
        if self._experiment_id is None:
            found = client.get_experiment_by_name(self.experiment)
            if found is None:
                self._experiment_id = str(
                    client.create_experiment(self.experiment, artifact_location=self.artifacts)
                )
            elif self._was_moved(found.artifact_location):
                relocate(self.uri, found.artifact_location, str(self.artifacts))
                self._experiment_id = str(found.experiment_id)
            elif found.lifecycle_stage == "deleted":
                raise ConflictError(
                    f"The MLflow experiment {self.experiment} was deleted",
                    fix=f"mlflow experiments restore --experiment-id {found.experiment_id}",
                    where="storage.tracking",
                )
            else:
                self._experiment_id = str(found.experiment_id)
        return self._experiment_id

    def _was_moved(self, location: str) -> bool:
        """Whether the embedded store keeps its files where the project was before."""
        return (
            self.artifacts is not None
            and self.uri.startswith("sqlite:///")
            and location.rstrip("/") != self.artifacts.rstrip("/")
        )

    def _ensure_model(self, client: Any, model: str) -> None:
        if not client.search_registered_models(f"name = '{model}'", max_results=1):
            client.create_registered_model(model)

    def _upload(self, client: Any, model: str, new: NewVersion) -> tuple[str, str]:
        """The bundle as a logged model: its id, and where its files are."""
        experiment = self._ensure_experiment(client)
        same = f"tags.`{RUN}` = '{new.run_id}' AND tags.`{DIGEST}` = '{new.bundle_digest}'"
        earlier = client.search_logged_models([experiment], filter_string=same)
        logged = (
            earlier[0]
            if earlier
            else client.create_logged_model(
                experiment,
                name=model,
                source_run_id=new.tracked_run,
                tags={RUN: new.run_id, DIGEST: new.bundle_digest},
            )
        )
        if str(logged.status) != "READY":
            self._upload_files(client, logged, new)
        return str(logged.model_id), str(logged.artifact_location)

    def _upload_files(self, client: Any, logged: Any, new: NewVersion) -> None:
        from mlflow.entities import LoggedModelOutput

        content = _model_files(new)
        with TemporaryDirectory(prefix="ratchet-") as name:
            write_model_files(
                Path(name),
                content,
                run_id=new.tracked_run,
                model_id=logged.model_id,
                location=logged.artifact_location,
            )
            client.log_model_artifacts(logged.model_id, str(new.bundle), DATA)
            client.log_model_artifacts(logged.model_id, name)
        outputs = client.get_run(new.tracked_run).outputs
        linked = {each.model_id for each in outputs.model_outputs} if outputs else set()
        if logged.model_id not in linked:
            client.log_outputs(new.tracked_run, [LoggedModelOutput(logged.model_id, step=0)])
        client.finalize_logged_model(logged.model_id, "READY")


def _model_files(new: NewVersion) -> ModelFiles:
    bundle = files.read_manifest(new.bundle)
    signature = Signature.from_json(json.loads(files.read_file(bundle, files.SIGNATURE)))
    requirements = files.read_file(bundle, files.REQUIREMENTS).decode().splitlines()
    metadata = {
        "ratchet_run_id": new.run_id,
        "ratchet_version": new.version,
        "ratchet_bundle_digest": new.bundle_digest,
    }
    return ModelFiles(signature, tuple(line for line in requirements if line.strip()), metadata)


def _find_version(client: Any, model: str, new: NewVersion) -> ModelVersion | None:
    same = (
        f"name = '{model}' AND tags.`{RUN}` = '{new.run_id}'"
        f" AND tags.`{DIGEST}` = '{new.bundle_digest}'"
    )
    found = client.search_model_versions(same, max_results=1)
    return _version_of(found[0]) if found else None


def _version_of(found: Any) -> ModelVersion:
    tags = dict(found.tags or {})
    return ModelVersion(
        found.name, str(found.version), tags.get(RUN, ""), tags.get(DIGEST, ""), found.source
    )
