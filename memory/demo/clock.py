"""When things happened: 60 days of activity that end a few minutes ago."""

from random import Random

DAY = 86400
DAYS = 60


def endings(rng: Random, now: float, count: int) -> list[float]:
    """Draw when each of `count` threads was last active, newest first and denser towards now."""
    span = (DAYS - 3) * DAY
    ages = [150 + span * ((number + rng.random() * 0.8) / count) ** 2 for number in range(count)]
    return [_by_day(now, now - age) for age in ages]


def turns(rng: Random, now: float, end: float, count: int) -> list[float]:
    """Spread `count` turns before `end`: minutes apart, with a pause of hours or days now and then."""
    gaps = []
    for _ in range(count - 1):
        pause = rng.random()
        if pause < 0.78:
            gaps.append(rng.uniform(25, 420))
        elif pause < 0.94:
            gaps.append(rng.uniform(900, 14_000))
        else:
            gaps.append(rng.uniform(0.6, 2.6) * DAY)
    room = max(60.0, end - 40 - (now - (DAYS - 0.5) * DAY))
    squeeze = min(1.0, room / sum(gaps)) if gaps else 1.0
    at = end - 40
    times = [at]
    for gap in gaps:
        at -= gap * squeeze
        times.append(at)
    return times[::-1]


def _by_day(now: float, at: float) -> float:
    """Move what would have happened deep in the night into the evening before."""
    hour = at % DAY / 3600
    return at - (hour + 2.5) * 3600 if now - at > DAY and hour < 5 else at
