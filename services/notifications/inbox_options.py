"""What becomes of SMS that come in: a part of the settings."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from nacl.encoding import HexEncoder
from nacl.public import PublicKey
from prometheus_client import Counter

from services.notifications import answers, messages
from services.notifications.inbox import Inbox
from services.notifications.long_messages import LongMessages
from services.notifications.options import TellingOptions
from services.notifications.wording import Facts
from vault.master import MasterKey

SHIPPED = Path(__file__).parent / "words.yaml"


class InboxOptions(TellingOptions):
    """`TONLE_SMS_HOTLINE`, `TONLE_SMS_HELPLINE`: whom people call with questions, or against violence.

    Without them SMS that come in are kept and told, STOP and START are obeyed, and nothing is answered.

    `sms_words`: a file of words in place of the one shipped. `protection_public_key_file`: the public half
    of the protection role's key; without it requests for help are answered and not kept.
    `messages_kept_days`: how long what people wrote is kept. `sms_parts_wait_s`: how long a part of a long
    SMS waits for the others.
    """

    sms_hotline: str | None = None
    sms_helpline: str | None = None
    sms_words: Path = SHIPPED
    protection_public_key_file: Path | None = None
    messages_kept_days: int = 365
    sms_parts_wait_s: float = 900.0

    def inbox(self, master: MasterKey, senders: Sequence[str], counted: Counter) -> Inbox:
        """What takes SMS in. Raises `ValueError` where one of both lines is missing, and `WordsRefused`.

        Raises `TemplateRefused` where who asks for protection would be told by the length of the answer.
        """
        if bool(self.sms_hotline) is not bool(self.sms_helpline):
            raise ValueError("TONLE_SMS_HOTLINE, TONLE_SMS_HELPLINE: set both; who writes to us is told them")
        lines = Facts(hotline=self.sms_hotline, helpline=self.sms_helpline) if self.sms_hotline else None
        if lines:
            answers.check_alike(self.wording, lines)
        file = self.protection_public_key_file
        return Inbox(
            master,
            messages.load(self.sms_words.read_text(encoding="utf-8")),
            self.wording,
            lines,
            senders,
            PublicKey(file.read_bytes().strip(), HexEncoder) if file else None,
            counted,
            timedelta(days=self.messages_kept_days),
            LongMessages(master, timedelta(seconds=self.sms_parts_wait_s)),
        )
