"""What looks at a running stack add up to."""

from benchmarks.watch import HOPS, Look, progress, rss_mb_growth, rss_mb_most, used_cpu_s, whole


def look(seconds: float, *, cpu_s: float = 0.0, rss_mb: float = 0.0, messages: int = 0) -> Look:
    cpu = {"payments": cpu_s, "postgres": 2 * cpu_s, "postgres_payments": cpu_s}
    return Look(seconds, cpu, {"payments": rss_mb}, dict.fromkeys(HOPS.values(), messages))


def test_cpu_is_counted_from_the_first_look() -> None:
    used = used_cpu_s([look(0, cpu_s=10), look(5, cpu_s=11), look(9, cpu_s=14)])
    assert used == {"payments": 4, "postgres": 8, "postgres_payments": 4}


def test_a_process_that_came_later_counts_whole() -> None:
    assert used_cpu_s([Look(0, {}, {}, {}), look(1, cpu_s=3)])["payments"] == 3


def test_what_postgres_does_for_a_service_is_not_counted_twice() -> None:
    assert whole(look(0, cpu_s=1).cpu_s) == 3


def test_memory_grows_when_the_second_half_holds_more_than_the_first() -> None:
    looks = [look(at, rss_mb=mb) for at, mb in ((0, 90), (4, 100), (5, 95), (6, 110), (10, 105))]
    assert rss_mb_growth(looks, "payments") == 10
    assert rss_mb_most(looks, "payments") == 110


def test_memory_that_is_given_back_is_negative_growth() -> None:
    assert rss_mb_growth([look(0, rss_mb=100), look(4, rss_mb=90), look(10, rss_mb=95)], "payments") == -5


def test_one_look_shows_no_growth() -> None:
    assert rss_mb_growth([look(3, rss_mb=80)], "payments") == 0


def test_progress_counts_from_the_first_look_and_rates_from_another() -> None:
    first, since, now = look(0, messages=100), look(10, messages=1100), look(12, messages=2100)
    assert progress([first, since, now], since).startswith("registered   2,000    500/s  scored")
