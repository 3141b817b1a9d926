"""What a job asks, which nodes fit now, why the others do not, and what to change."""

from preflight.submit.plan.make import ClusterState as ClusterState
from preflight.submit.plan.make import plan as plan
from preflight.submit.plan.model import Plan as Plan
from preflight.submit.plan.model import PlanError as PlanError
