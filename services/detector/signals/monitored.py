"""What monitors of performance watch, by name; whoever only publishes a model needs no more of them."""

from __future__ import annotations

ERROR, FALSE_NEGATIVE, FALSE_POSITIVE, ABS_ERROR_HIGH = "error", "false_negative", "false_positive", "abs_error_high"
ERROR_OF = "error:"  # followed by a class
NDCG_LOSS = "ndcg_loss@"  # followed by a length: 1 - NDCG of the first so many items
