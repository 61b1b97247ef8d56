"""What is said of envelopes and holds: the full examples."""

from contracts.cycle import EnvelopeChanged
from contracts.hold import HoldChanged, HoldState


def held(household_id: str) -> HoldChanged:
    """A hold as it is placed; one event names a household or an account, the sample shows both."""
    return HoldChanged(
        hold_id="7d1f5c0e-3b8a-4c7b-9d52-0a6f1f2b7c11",
        state=HoldState.PLACED,
        household_id=household_id,
        account_digest="ab" * 32,
        reason="fraud-suspicion",
        actor="officer-1",
    )


def funded(cycle_id: str) -> EnvelopeChanged:
    """A cycle's envelope."""
    return EnvelopeChanged(
        envelope_id=cycle_id,
        cycle_id=cycle_id,
        currency="KHR",
        funded=24_000_000_000,
        actor="officer-1",
        reason="first tranche",
        donor="wfp",
    )
