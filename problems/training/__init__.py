"""Training by a recipe: deterministic, resumable, kept by content hash.

`trained` gives the weights of a named step, from the cache or by training; `Recipe` says how, `recipe_for` says it of
the built-in networks, `history` tells how good the named steps are.
"""

from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.recipes import recipe_for
from hessbench.problems.training.store import Point
from hessbench.problems.training.trained import history, is_cached, trained

__all__ = ["Point", "Recipe", "history", "is_cached", "recipe_for", "trained"]
