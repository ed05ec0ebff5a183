"""What of a pipeline is up, with the ids that only AWS knows: what another tool needs to take it over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imgpipe.cloud import explain
from imgpipe.deploy.export.terraform import Existing
from imgpipe.deploy.observe import observe
from imgpipe.deploy.providers.lambda_triggers import Mappings
from imgpipe.deploy.providers.sns import Subscriptions
from imgpipe.deploy.resources import Key, Mapping, Subscription
from imgpipe.operate.provision import site_of

if TYPE_CHECKING:
    from imgpipe.operate.project import Project


def existing(project: Project) -> Existing:
    """Ask for everything that is declared and there. Raises CloudError."""
    site, graph = site_of(project), project.graph
    there = observe(site, graph.resources).resources.keys() & graph.resources.keys()
    mappings, subscriptions = Mappings(site), Subscriptions(site)
    try:
        ids: dict[Key, str] = {
            **{one.key: mappings.id_of(one) for one in graph.of(Mapping) if one.key in there},
            **{
                one.key: subscriptions.id_of(one)
                for one in graph.of(Subscription)
                if one.key in there
            },
        }
    except Exception as error:
        raise explain(error, "what is up") from error
    return Existing(frozenset(there), ids)
