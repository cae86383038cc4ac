"""From a suite to a folder of rows: plan, truth, runner, resume."""
