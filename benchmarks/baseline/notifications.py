"""Sends an SMS at a time."""

import asyncio
import os
from pathlib import Path
from typing import Annotated
from uuid import uuid5

import asyncpg
import httpx
from faststream import Context

from benchmarks.baseline.messages import Issued, application, stack_broker
from benchmarks.floor.wire import PARTNER
from contracts.household import ContactPreference
from contracts.sms import SmsEncoding, SmsSent
from contracts.topics import PAYMENT_ISSUED, SMS_SENT
from contracts.wire import NAMESPACE
from services.notifications import wording

FOLDER = Path(wording.__file__).parent / "templates"
TEMPLATE = "payment-ready"

words = wording.load({path.name: path.read_text() for path in FOLDER.glob("*.yaml")})
gateway = httpx.AsyncClient(verify=False, base_url=os.environ["TONLE_GATEWAY_URL"])
gateway_password = Path(os.environ["TONLE_GATEWAY_PASSWORD_FILE"]).read_text().strip()
broker = stack_broker()
told = broker.publisher(SMS_SENT.name)


@broker.subscriber(PAYMENT_ISSUED.name, group_id="notifications", auto_offset_reset="earliest")
async def tell(said: Issued, db: Annotated[asyncpg.Pool, Context()]) -> None:
    """Send, keep, tell."""
    payee = said.payee
    if payee.phone is None or payee.contact is ContactPreference.NONE:
        return
    facts = wording.Facts(said.programme, PARTNER, said.period, said.amount, said.withdraw_until)
    full = payee.contact is ContactPreference.FULL
    text, segments = words.render(TEMPLATE, payee.language, full=full, facts=facts)
    sms_id = str(uuid5(NAMESPACE, f"sms/{said.payment_id}"))
    query = {
        "username": os.environ["TONLE_GATEWAY_USER"],
        "password": gateway_password,
        "from": os.environ["TONLE_SMS_SENDER"],
        "to": payee.phone,
        "text": text,
        "charset": "UTF-8",
        "coding": 0 if segments.encoding == "gsm-7" else 2,
        "meta-data": f"?tonle?sms_id={sms_id}",
    }
    (await gateway.get("/cgi-bin/sendsms", params=query)).raise_for_status()
    await db.execute("insert into sms values ($1, $2) on conflict do nothing", sms_id, said.payment_id)
    sent = SmsSent(
        sms_id=sms_id,
        household_id=said.household_id,
        payment_id=said.payment_id,
        template=TEMPLATE,
        language=payee.language,
        encoding=SmsEncoding(segments.encoding),
        segments=segments.total,
        gateway="kannel",
    )
    await told.publish(sent, key=said.household_id.encode())


app = application(broker, "sms (sms_id text primary key, payment_id text not null)")

if __name__ == "__main__":
    asyncio.run(app.run())
