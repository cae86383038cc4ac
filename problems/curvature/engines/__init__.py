"""Engines: ways to multiply with the Hessian or the GGN of a network on one batch.

All keep one contract (`engine`): from a network and a batch, the product of a block with the batch's part of the
matrix. `table` names them, `operator` adds batches, micro-batches and memory, and `choosing` picks one by measuring.
"""
