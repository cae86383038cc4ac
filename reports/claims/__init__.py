"""Published claims: the document's words, the rule that decides, and the verdict that the numbers give."""
