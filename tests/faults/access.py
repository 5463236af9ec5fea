"""Passwords and certificates that are no longer good: services say which, wait, and go on when it is mended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion

from shared.settings import Settings
from tests.faults.broker import ANSWER_SECONDS
from tests.faults.fault import Fault
from tests.faults.load import labels_for, predictions_for
from tests.faults.rig import DATA_PLANE, Rig
from tests.faults.servers import Door
from tests.kit.certificates import authority, signed

USER = "driftline"
LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
OUTAGE_SECONDS = 10.0  # that services are left alone with a refusal
MORE = range(1_000_000, 1_002_000)  # requests after a change
YET_MORE = range(2_000_000, 2_002_000)


def no_longer_good(rig: Rig) -> None:
    password = rig.folder / "kafka.password"
    certificates = authority(rig.folder)
    with door(rig, certificates) as way_in:
        change_password(rig, "first")
        password.write_text("first", "utf-8")
        secured = msgspec.structs.replace(
            rig.settings,
            bootstrap=f"127.0.0.1:{way_in.link.port}",
            kafka_security_protocol="SASL_SSL",
            kafka_username=USER,
            kafka_password_file=str(password),
            kafka_ca=str(certificates),
        )
        start(rig, secured)
        rig.write()
        rig.settle()
        told = []

        change_password(rig, "second")
        way_in.link.cut()
        rig.write_events(predictions_for(rig.topics, MORE))
        told.append(refusals(rig, "Kafka does not know driftline with this password (SCRAM-SHA-512)"))
        password.write_text("second", "utf-8")
        rig.crew.kill(*DATA_PLANE)
        start(rig, secured)
        rig.settle()

        present(certificates, days=-1)
        rig.servers.restart(rig.servers.kafka)
        rig.write_events(labels_for(rig.topics, MORE))
        told.append(refusals(rig, "has expired"))
        present(certificates, days=2)
        rig.servers.restart(rig.servers.kafka)
        rig.write_events(predictions_for(rig.topics, YET_MORE))
        rig.settle()
        rig.happened(refusals_of_a_password=told[0], refusals_of_a_certificate=told[1])
        rig.saw(starts_again=sum(rig.crew.ends.values()), copies_dropped=rig.copies())
        rig.holds("every service says what is amiss", told == [len(DATA_PLANE)] * 2)
        rig.holds("no service ends by itself", not rig.crew.ends)
        rig.holds("nothing is dead-lettered", rig.letters() == 0)
        rig.crew.stop()


def start(rig: Rig, settings: Settings) -> None:
    """Start the services as clients who say who they are."""
    for name in DATA_PLANE:
        rig.crew.start(name, settings=settings)


def refusals(rig: Rig, words: str) -> int:
    """Wait until all services say why they wait, and let it last; return how many say so then, and are alive."""

    def tell() -> list[str]:
        answers = {name: rig.crew.answer(name) for name in DATA_PLANE}
        return [name for name, answer in answers.items() if not answer.ok and words in answer.reason]

    rig.until(f"all services say: {words}", lambda: len(tell()) == len(DATA_PLANE))
    rig.last(OUTAGE_SECONDS)
    return sum(rig.crew.is_live(name) for name in tell())


@contextmanager
def door(rig: Rig, certificates: Path) -> Iterator[Door]:
    """Let the broker ask clients of one more link who they are, and show them a certificate."""
    kafka = rig.servers.kafka
    properties = {
        "scram-sha-512.sasl.jaas.config": LOGIN,
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(present(certificates, days=2)),
    }
    opened = kafka.open_door("DOOR", "SASL_SSL", properties)
    rig.servers.restart(kafka)
    try:
        yield opened
    finally:
        kafka.close_door(opened)
        rig.servers.restart(kafka)


def present(certificates: Path, *, days: int) -> Path:
    """Make the certificate that the broker shows from its next start on; return where it and its key are."""
    certificate, store = signed(certificates, "broker", days=days), certificates.with_name("keystore.pem")
    store.write_bytes(certificate.with_suffix(".key").read_bytes() + certificate.read_bytes())
    return store


def change_password(rig: Rig, password: str) -> None:
    """Let the broker know the services by another password from now on."""
    admin = AdminClient({"bootstrap.servers": rig.past_links.bootstrap, "log_level": 0})
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4_096)
    change = UserScramCredentialUpsertion(USER, kind, password.encode())
    for answer in admin.alter_user_scram_credentials([change]).values():
        answer.result(ANSWER_SECONDS)


def no_openssl() -> str:
    """Return why no certificate can be made here."""
    return "" if shutil.which("openssl") else "there is no openssl"


FAULTS = (
    Fault(44, "a password and a certificate are no longer good", no_longer_good, missing=no_openssl, joins_all=False),
)
