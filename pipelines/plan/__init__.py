"""Plans: what a recipe means, before anything runs."""

from thresher.pipelines.plan.compile import Plan, StepPlan, TablePlan, compile_plan

__all__ = ["Plan", "StepPlan", "TablePlan", "compile_plan"]
