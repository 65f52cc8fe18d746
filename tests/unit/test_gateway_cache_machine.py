"""Whatever happens to a shop, its gateways and Redis: no answer is older than it says."""

from hypothesis import settings

from tests.cache_machine import CacheMachine

TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
