"""Which method answers a question within a tolerance, what that costs, and how sure it is."""

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
from hessbench.ledger.answering.ranking import answer

__all__ = ["RANKINGS", "Answered", "Claim", "MethodAnswer", "Question", "Ranking", "State", "TrivialAnswer", "answer"]
