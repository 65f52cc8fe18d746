"""Vitrina beside other search engines that a shop could take: same products, queries and model.

Two environments take part: Vitrina's own drives and measures, and that of the peers
(requirements/peers.lock) has only them and the model. `protocol`, `rows`, `worker` and
`systems` therefore import nothing of Vitrina's; of them only `systems/vitrina.py` does.
"""
