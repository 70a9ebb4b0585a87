"""The methods of `Registry` that REST has too: each calls one operation by its name."""

from collections.abc import Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message

from gnomon.proto import registry_pb2
from gnomon.server.hub.access import nodes
from gnomon.server.hub.grpc import interceptor, operations
from gnomon.server.hub.grpc.messages import to_message, to_parameters
from gnomon.server.hub.store.database import Database
from gnomon.server.hub.store.rights import Actor

_Message = TypeVar("_Message", bound=Message)


class RegistryOperations:
    """Typed methods over the registry's operations. Safe to call from many threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _builder(self, context: grpc.ServicerContext) -> Actor:
        """Return the builder that calls, with what it may publish."""
        return nodes.builder_of(self._database, interceptor.identity_of(context))

    def _run(
        self,
        name: str,
        parameters: Mapping[str, Any],
        kind: type[_Message],
        context: grpc.ServicerContext,
    ) -> _Message:
        """Run one operation for the caller.

        Args:
            name: a key of `operations.OPERATIONS`.
            parameters: what the operation takes, by name.
            kind: the message to return.
            context: the call.
        """
        actor = self._builder(context)
        answer = operations.run_operation(self._database, actor, name, parameters)
        return to_message(kind, answer)

    def ListModels(  # noqa: N802
        self, request: registry_pb2.ListModelsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ListModelsResponse:
        """List all models, each with its newest versions and the one in service."""
        return self._run(
            "list_models", to_parameters(request), registry_pb2.ListModelsResponse, context
        )

    def ListVersions(  # noqa: N802
        self, request: registry_pb2.ListVersionsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ListVersionsResponse:
        """List a page of a model's packages, newest first."""
        return self._run(
            "list_versions", to_parameters(request), registry_pb2.ListVersionsResponse, context
        )

    def GetVersion(  # noqa: N802
        self, request: registry_pb2.GetVersionRequest, context: grpc.ServicerContext
    ) -> registry_pb2.VersionDetails:
        """Return a version with its aliases, tags, approvals and packages."""
        return self._run(
            "get_version", to_parameters(request), registry_pb2.VersionDetails, context
        )

    def SearchVersions(  # noqa: N802
        self, request: registry_pb2.SearchVersionsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.SearchVersionsResponse:
        """Search the packages of all models, newest first, page by page."""
        return self._run(
            "search_versions", to_parameters(request), registry_pb2.SearchVersionsResponse, context
        )

    def ListAliases(  # noqa: N802
        self, request: registry_pb2.ListAliasesRequest, context: grpc.ServicerContext
    ) -> registry_pb2.Aliases:
        """List a model's aliases with their versions."""
        return self._run("list_aliases", to_parameters(request), registry_pb2.Aliases, context)

    def GetAlias(  # noqa: N802
        self, request: registry_pb2.GetAliasRequest, context: grpc.ServicerContext
    ) -> registry_pb2.VersionDetails:
        """Return the version that an alias stands for."""
        return self._run("get_alias", to_parameters(request), registry_pb2.VersionDetails, context)

    def GetLineage(  # noqa: N802
        self, request: registry_pb2.GetLineageRequest, context: grpc.ServicerContext
    ) -> registry_pb2.Lineage:
        """Return a version's dataset, run, packages, rollouts and nodes."""
        return self._run("get_lineage", to_parameters(request), registry_pb2.Lineage, context)

    def CompareVersions(  # noqa: N802
        self, request: registry_pb2.CompareVersionsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.VersionComparison:
        """Compare two versions: metrics, rules, training data, manifests."""
        return self._run(
            "compare_versions", to_parameters(request), registry_pb2.VersionComparison, context
        )

    def GetStateAt(  # noqa: N802
        self, request: registry_pb2.GetStateAtRequest, context: grpc.ServicerContext
    ) -> registry_pb2.GetStateAtResponse:
        """Return what was in service, rolled out and counted on a day or at an instant."""
        return self._run("ran_at", to_parameters(request), registry_pb2.GetStateAtResponse, context)

    def ListPlacements(  # noqa: N802
        self, request: registry_pb2.ListPlacementsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ListPlacementsResponse:
        """List what should be and was in service, newest first."""
        return self._run(
            "list_placements", to_parameters(request), registry_pb2.ListPlacementsResponse, context
        )

    def ListEnvironments(  # noqa: N802
        self, request: registry_pb2.ListEnvironmentsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ListEnvironmentsResponse:
        """List all environments in their order."""
        return self._run(
            "list_environments",
            to_parameters(request),
            registry_pb2.ListEnvironmentsResponse,
            context,
        )

    def ListApprovals(  # noqa: N802
        self, request: registry_pb2.ListApprovalsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.ListApprovalsResponse:
        """List the approvals of a version, newest first."""
        return self._run(
            "list_approvals", to_parameters(request), registry_pb2.ListApprovalsResponse, context
        )

    def SetAlias(  # noqa: N802
        self, request: registry_pb2.SetAliasRequest, context: grpc.ServicerContext
    ) -> registry_pb2.Aliases:
        """Let an alias stand for a version, or for none; return all of the model."""
        return self._run("set_alias", to_parameters(request), registry_pb2.Aliases, context)

    def SetTags(  # noqa: N802
        self, request: registry_pb2.SetTagsRequest, context: grpc.ServicerContext
    ) -> registry_pb2.Tags:
        """Set and remove tags of a version; return all that it has."""
        parameters = to_parameters(request)
        parameters["tags"] |= dict.fromkeys(parameters.pop("removed"))
        return self._run("set_tags", parameters, registry_pb2.Tags, context)

    def RecordRun(  # noqa: N802
        self, request: registry_pb2.RecordRunRequest, context: grpc.ServicerContext
    ) -> registry_pb2.RecordRunResponse:
        """Record a run of a build that has ended."""
        return self._run(
            "record_run", to_parameters(request), registry_pb2.RecordRunResponse, context
        )
