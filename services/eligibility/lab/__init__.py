"""The policy lab: a proposed policy over everybody who is registered, beside the one in force."""
