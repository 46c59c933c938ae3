"""Words that messages of all parts share."""


def replicas_text(replicas: int) -> str:
    """'1 replica', '1,200 replicas'."""
    return f"{replicas:,} replica{'' if replicas == 1 else 's'}"
