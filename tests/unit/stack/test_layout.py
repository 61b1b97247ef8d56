"""What a stack is made of, decided without starting anything."""

import json
from pathlib import Path

import pytest
from joserfc import jwe, jws
from joserfc.jwk import OKPKey

from contracts import topics as flow
from tonle.stack import folder, jars, secrets, topics
from tonle.stack.errors import StackError
from tonle.stack.programs import Place, programs

ROLES = ("postgres", "payments")


def test_business_topics_never_expire_and_dead_letters_hold_more_than_any_input() -> None:
    made = {topic.name: topic for topic in topics.plan(prefix="p.", partitions=4)}
    dead = {name for name in made if "dead-letter" in name}
    assert len(dead) == 4
    assert all(topic.topic_configs["retention.ms"] == "-1" for topic in made.values())
    inputs = {int(made[name].topic_configs["max.message.bytes"]) for name in made.keys() - dead}
    assert min(int(made[name].topic_configs["max.message.bytes"]) for name in dead) > max(inputs)


def test_every_topic_of_the_flow_is_made_with_one_partition_count_and_only_keys_are_compacted() -> None:
    made = {topic.name: topic for topic in topics.plan(prefix="", partitions=4)}
    assert {topic.name for topic in flow.TOPICS} <= made.keys()
    assert {"partner.wing.instruction.v1", "partner.wing.report.v1"} <= made.keys()
    assert {made[topic.name].num_partitions for topic in flow.TOPICS} == {4}
    compacted = {n for n, topic in made.items() if topic.topic_configs.get("cleanup.policy") == "compact"}
    assert compacted == {"household.key.v1", "household.key.v2"}


def test_what_somebody_outside_reads_or_writes_is_kept_uncompressed() -> None:
    made = topics.plan(prefix="", partitions=4)
    plain = {each.name for each in made if each.topic_configs.get("compression.type") == "uncompressed"}
    assert plain == {"partner.wing.instruction.v1", "partner.wing.report.v1", "referral.made.v1"}


def test_secrets_are_made_once_and_kept(tmp_path: Path) -> None:
    first = secrets.ensure(tmp_path / "s", roles=ROLES, partners=("wing",))
    texts = {path.name: path.read_text() for path in first.folder.iterdir()}
    secrets.ensure(tmp_path / "s", roles=ROLES, partners=("wing",))
    assert {path.name: path.read_text() for path in first.folder.iterdir()} == texts
    assert len(bytes.fromhex(first.master_key.read_text())) == 32
    assert {path.stat().st_mode & 0o777 for path in first.folder.iterdir()} == {0o600}


def test_the_key_pairs_sign_and_encrypt_and_the_public_halves_hold_no_private_one(tmp_path: Path) -> None:
    made = secrets.ensure(tmp_path / "s", roles=ROLES, partners=("wing",))

    def key(path: Path) -> OKPKey:
        return OKPKey.import_key(json.loads(path.read_text()))

    signed = jws.serialize_compact(
        {"alg": "Ed25519"}, b"pay", key(made.jwk("payments")), algorithms=["Ed25519"]
    )
    read = jws.deserialize_compact(signed, key(made.public_jwk("payments")), algorithms=["Ed25519"])
    assert read.payload == b"pay"
    to = {"alg": "ECDH-ES", "enc": "A256GCM"}
    sealed = jwe.encrypt_compact(to, b"pay", key(made.public_jwk("wing-encrypt")))
    assert jwe.decrypt_compact(sealed, key(made.jwk("wing-encrypt"))).plaintext == b"pay"
    assert not any("d" in json.loads(path.read_text()) for path in made.folder.glob("*.pub.jwk"))


def test_a_remembered_port_is_used_again_while_it_is_free(tmp_path: Path) -> None:
    first = folder.choose_ports(tmp_path, ["kafka", "payments"], {})
    assert folder.choose_ports(tmp_path, ["payments", "kafka"], {}) == first
    assert len(set(first.values())) == 2


def test_a_folder_is_claimed_by_one_at_a_time(tmp_path: Path) -> None:
    lock = folder.claim(tmp_path / "data")
    with pytest.raises(StackError, match="already"):
        folder.claim(tmp_path / "data")
    lock.close()
    folder.claim(tmp_path / "data").close()


def test_where_there_is_data_a_lost_master_key_is_never_made_anew(tmp_path: Path) -> None:
    folder.refuse_new_master_key(tmp_path)
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("18")
    with pytest.raises(StackError, match=r"master\.key is missing"):
        folder.refuse_new_master_key(tmp_path)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "master.key").write_text("00" * 32)
    folder.refuse_new_master_key(tmp_path)


def test_every_jar_of_kafka_is_locked_by_its_sha_256() -> None:
    locked = jars.read_lock()
    assert {name for name in locked if name in jars.COORDINATES} == set(jars.COORDINATES)
    assert {len(bytes.fromhex(digest)) for digest in locked.values()} == {32}


def test_every_program_gets_its_settings_from_the_environment_alone(tmp_path: Path) -> None:
    place = Place(
        kafka="127.0.0.1:1",
        topic_prefix="p.",
        data_dir=tmp_path,
        secrets=secrets.Secrets(tmp_path),
        dsn=dict.fromkeys(topics.SERVICES, "postgresql://…"),
        urls={"gateway": "http://127.0.0.1:2"},
    )
    told = {program.name: program.environment(place) for program in programs()}
    assert all(
        {"TONLE_KAFKA", "TONLE_TOPIC_PREFIX", "TONLE_DATA_DIR"} <= names.keys() for names in told.values()
    )
    assert "partner-truemoney" not in told
    assert json.loads(told["payments"]["TONLE_PARTNERS"]).keys() == {"wing", "acleda"}
    gateway_password = told["gateway"]["TONLE_GATEWAY_PASSWORD_FILE"]
    assert gateway_password == told["notifications"]["TONLE_GATEWAY_PASSWORD_FILE"]
    assert told["partner-wing"]["TONLE_PARTNER"] == "wing"
    assert not any("TONLE_DATABASE" in told[name] for name in ("gateway", "partner-wing"))
    assert told["partner-wing"]["TONLE_KAFKA_PASSWORD_FILE"].endswith("kafka-partner-wing.password")
    assert told["payments"]["PGPASSFILE"].endswith("payments.pgpass")


def test_a_partner_on_http_runs_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONLE_HTTP_PARTNER", "1")
    urls = {
        "gateway": "http://127.0.0.1:2",
        "payments": "http://127.0.0.1:3",
        "partner-truemoney": "http://127.0.0.1:4",
    }
    dsn = dict.fromkeys(topics.SERVICES, "postgresql://…")
    place = Place("127.0.0.1:1", "p.", tmp_path, secrets.Secrets(tmp_path), dsn, urls)
    told = {program.name: program.environment(place) for program in programs()}
    partner = json.loads(told["payments"]["TONLE_PARTNERS"])["truemoney"]
    assert (partner["url"], partner["callback_url"]) == (
        "http://127.0.0.1:4",
        "http://127.0.0.1:3/partners/truemoney/g2p",
    )
    assert told["partner-truemoney"]["TONLE_PARTNER"] == "truemoney"
    assert "TONLE_KAFKA_USER" not in told["partner-truemoney"]
