"""What we write of JOSE is read by a library, and what a library writes is read by us, or refused."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jwe, jws
from joserfc.jwe import JWERegistry
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.registry import HeaderParameter

from vault.jose import LONG_BYTES, Agreement, NotForUs, NotSigned, Opener, Signer, Verifier, read_keys

OURS, THEIRS = (OKPKey.generate_key("Ed25519", private=True) for _ in range(2))
ENCRYPT_TO = OKPKey.generate_key("X25519", private=True)
SIGNATURES = JWSRegistry({"exp": HeaderParameter("Expiration Time", "int")}, algorithms=["Ed25519"])
ENCRYPTION = JWERegistry(algorithms=["ECDH-ES+A256KW", "A256GCM"])
SAID = b'{"amount": 176000}'


def signed(key: OKPKey = THEIRS, **header: object) -> bytes:
    said = {"alg": "Ed25519", "exp": 1_700_000_000, **header}
    return jws.serialize_compact(said, SAID, key, registry=SIGNATURES).encode()


def headed(header: dict[str, object]) -> bytes:
    """Truly signed, under a header that no library would write."""
    message = b".".join(urlsafe_b64encode(each).rstrip(b"=") for each in (json.dumps(header).encode(), SAID))
    assert isinstance(THEIRS.private_key, Ed25519PrivateKey)
    return message + b"." + urlsafe_b64encode(THEIRS.private_key.sign(message)).rstrip(b"=")


def test_a_library_opens_and_verifies_what_we_write() -> None:
    token = Agreement(ENCRYPT_TO).encrypt(Signer(OURS).sign(SAID))
    opened = jwe.decrypt_compact(token, ENCRYPT_TO, registry=ENCRYPTION)
    inner = jws.deserialize_compact(opened.plaintext or b"", OURS, registry=SIGNATURES)
    assert inner.payload == SAID
    assert inner.headers() == {"alg": "Ed25519", "kid": OURS.thumbprint()}
    assert opened.headers()["kid"] == ENCRYPT_TO.thumbprint()


def test_a_library_verifies_a_long_token_and_so_do_we() -> None:
    said = SAID * 1_000
    token = Signer(OURS).sign(said, "cloudevents-batch+json")
    assert len(token) > 2 * LONG_BYTES
    assert jws.deserialize_compact(token, OURS, registry=SIGNATURES).payload == said
    assert Verifier(OURS).read(token)[1] == said


def test_messages_of_one_agreement_share_its_ephemeral_key_and_no_other_key_or_nonce() -> None:
    agreement = Agreement(ENCRYPT_TO)
    parts = [agreement.encrypt(b"same").split(b".") for _ in range(3)]
    header, *others = ({each[at] for each in parts} for at in range(5))
    assert (len(header), [len(each) for each in others]) == (1, [3, 3, 3, 3])
    again = Agreement(ENCRYPT_TO).encrypt(b"same").split(b".")[0]
    assert _header(again)["epk"] != _header(header.pop())["epk"]


def test_we_read_what_a_library_signed() -> None:
    header, said = Verifier(THEIRS).read(signed(kid="theirs", typ="JOSE"))
    assert (said, header.exp) == (SAID, 1_700_000_000)


def test_what_was_encrypted_to_a_key_that_was_replaced_is_opened_while_it_is_kept() -> None:
    old, new = (OKPKey.generate_key("X25519", private=True) for _ in range(2))
    tokens = [Agreement(key).encrypt(SAID) for key in (old, new)]
    assert [Opener(new, old).open(token) for token in tokens] == [SAID, SAID]
    with pytest.raises(NotForUs):
        Opener(new).open(tokens[0])


def test_a_token_under_a_name_of_the_partners_own_is_read_with_whichever_of_its_keys_signed_it() -> None:
    other = OKPKey.generate_key("Ed25519")
    for kid in ("its own name", THEIRS.thumbprint()):
        assert Verifier(other, THEIRS).read(signed(kid=kid))[1] == SAID
    with pytest.raises(NotSigned):
        Verifier(other, THEIRS).read(signed(kid=other.thumbprint()))


@pytest.mark.parametrize(
    "said", [{"keys": []}, OURS.as_dict(), {"keys": [ENCRYPT_TO.as_dict(), OURS.as_dict()]}]
)
def test_a_file_without_a_key_or_with_one_of_another_curve_is_refused(
    said: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "key.jwk").write_text(json.dumps(said))
    with pytest.raises(ValueError, match="X25519"):
        read_keys(tmp_path / "key.jwk", "X25519")


BAD = {
    "empty": b"",
    "no token": b"{}",
    "another's key": signed(OURS),
    "another name of the algorithm": headed({"alg": "EdDSA"}),
    "no algorithm": headed({"exp": 1}),
    "what it says is critical": headed({"alg": "Ed25519", "crit": ["exp"], "exp": 1}),
    "a name without end": headed({"alg": "Ed25519", "kid": "x" * 1_000, "exp": 1}),
    "exp as text": headed({"alg": "Ed25519", "exp": "1"}),
    "a signature that is no base64": signed()[:-1] + b"\x80",
    "no signature": signed().rpartition(b".")[0] + b".",
    "a part more": signed() + b".QQ",
    "a part less": signed().partition(b".")[2],
    "other content": b".".join((signed().split(b".")[0], b"e30", signed().split(b".")[2])),
    "not base64": b"*" + signed()[1:],
}


@pytest.mark.parametrize("what", BAD)
def test_all_else_is_refused(what: str) -> None:
    with pytest.raises(NotSigned):
        Verifier(THEIRS).read(BAD[what])


@pytest.mark.parametrize("kind", [Signer, Verifier])
def test_a_key_of_another_curve_is_refused(kind: type[Signer | Verifier]) -> None:
    with pytest.raises(ValueError, match="Ed25519"):
        kind(ENCRYPT_TO)


def _header(segment: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(urlsafe_b64decode(segment + b"=="))
    return found
