"""Which method answers a question within a tolerance, what that costs, and how sure it is."""

from hessbench.ledger.answering.attainment import Attainment, QuestionAttainments, attainments
from hessbench.ledger.answering.entries import (
    RANKINGS,
    Answered,
    Claim,
    MethodAnswer,
    Question,
    Ranking,
    State,
    TrivialAnswer,
)
from hessbench.ledger.answering.ranking import TOLERANCES, answer, answers_by

__all__ = [
    "RANKINGS",
    "TOLERANCES",
    "Answered",
    "Attainment",
    "Claim",
    "MethodAnswer",
    "Question",
    "QuestionAttainments",
    "Ranking",
    "State",
    "TrivialAnswer",
    "answer",
    "answers_by",
    "attainments",
]
