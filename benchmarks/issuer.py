"""One of several processes that issue a cycle at once: `benchmarks.issuing` starts them."""

import gc
import json
import sys
import time
from collections.abc import Sequence

import asyncpg
import uvloop

from postbox import outbox
from services.payments import jobs
from services.payments.app import PaymentsSettings, office_of

ALONE = "select from cycle where cycle_id = $1 for update"


async def issue(cycle_id: str, *, one_row: bool) -> None:
    """Issue the households that the first line of standard input names, once there is a second line."""
    office, settings = office_of(PaymentsSettings()), PaymentsSettings()
    db = await asyncpg.connect(settings.database)
    ids: Sequence[str] = json.loads(sys.stdin.readline())
    gc.freeze()
    print("ready", flush=True)
    sys.stdin.readline()
    for start in range(0, len(ids), jobs.CHUNK):
        async with db.transaction():
            if one_row:
                await db.execute(ALONE, cycle_id)
            records = await jobs.issue(office, db, cycle_id, ids[start : start + jobs.CHUNK])
            await outbox.write(db, f"bench:{ids[0]}", records)
    print(time.monotonic(), flush=True)
    await db.close()


if __name__ == "__main__":
    uvloop.run(issue(sys.argv[1], one_row=sys.argv[2] == "1"))
