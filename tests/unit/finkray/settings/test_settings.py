import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from finkray.errors import SettingsError
from finkray.settings.model import Settings, load
from jobs.generators.settings_table import PAGE, page

CONF = Path(__file__).parents[4] / "conf" / "finkray.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "finkray.toml"
    path.write_text(text)
    return path


def refused(path: Path | None, env: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(path, env or {})
    return str(caught.value)


def test_the_sample_file_has_every_key_with_its_default_and_no_other() -> None:
    raw = tomllib.loads(CONF.read_text())
    model = {
        section: set(getattr(Settings(), section).__class__.model_fields)
        for section in Settings.model_fields
    }
    assert {section: set(table) for section, table in raw.items()} == model
    assert load(CONF, {}) == Settings()


def test_every_key_of_the_sample_file_is_commented() -> None:
    lines = CONF.read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith(("#", "[")):
            block = [entry for entry in lines[max(0, number - 6) : number] if entry]
            assert any(entry.startswith("#") for entry in block), line


def test_the_page_has_the_table_of_the_model() -> None:
    text = PAGE.read_text()
    assert page(text) == text


def test_every_field_is_described() -> None:
    for section in Settings.model_fields:
        for name, field in getattr(Settings(), section).__class__.model_fields.items():
            assert field.description, f"{section}.{name}"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load(None, {}).ui.port = 1  # type: ignore[misc]


def test_later_places_win(tmp_path: Path) -> None:
    path = write(tmp_path, "[ui]\nport = 5001\nhost = '127.0.0.2'\nrefresh_s = 2\n")
    env = {"FINKRAY__UI__PORT": "5002", "FINKRAY__UI__HOST": "127.0.0.3", "OTHER": "1"}
    settings = load(path, env, {"ui": {"port": 5003}})
    assert (settings.ui.refresh_s, settings.ui.host, settings.ui.port) == (2.0, "127.0.0.3", 5003)


def test_the_environment_speaks_json_for_lists_and_tables(tmp_path: Path) -> None:
    path = write(tmp_path, "[kafka.options]\n'client.rack' = 'a'\n'fetch.min.bytes' = 1\n")
    env = {
        "FINKRAY__KAFKA__TOPICS": '["one", "^two_[0-9]+$"]',
        "FINKRAY__KAFKA__OPTIONS": '{"fetch.min.bytes": 9}',
        "FINKRAY__KAFKA__SASL_USERNAME": "me",
        "FINKRAY__KAFKA__SASL_PASSWORD": '["no JSON here"]',
    }
    kafka = load(path, env).kafka
    assert kafka.topics == ("one", "^two_[0-9]+$")
    assert kafka.options == {"client.rack": "a", "fetch.min.bytes": 9}
    assert kafka.client_config()["sasl.password"] == '["no JSON here"]'
    assert "is not JSON" in refused(None, {"FINKRAY__KAFKA__TOPICS": "[one"})
    assert "FINKRAY__SECTION__KEY" in refused(None, {"FINKRAY__KAFKA": "x"})


def test_the_environment_speaks_json_for_lists_that_are_empty_by_default() -> None:
    assert load(None, {"FINKRAY__SERVICES__PASS_ENV": '["A"]'}).services.pass_env == ["A"]


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[kafka]\nrefresh = 3", "kafka.refresh is not known; did you mean kafka.refresh_s?"),
        ("[kafak]\ntopics = 'a'", "kafak is not known; did you mean kafka?"),
        ("[archive]\nactors = 3", "archive.actors is not known; did you mean ingest.actors?"),
        ("[ui]\nzzzzzz = 3", "ui.zzzzzz is not known; known here: host, port, refresh_s"),
        ("[ingest]\nactors = 'two'", "ingest.actors = 'two': expected a valid integer"),
        ("[ingest]\nheld_bytes = '64 zonks'", "ingest.held_bytes = '64 zonks': could not"),
        ("[ui]\nport = 70000", "ui.port = 70000: expected less than or equal to 65535"),
        ("[kafka]\ntopics = []", "kafka.topics = []: "),
        ("[kafka]\ntopics = ['^(']", "'^(' is not a regular expression"),
        ("[kafka]\ntopics = ['a b']", "'a b' is not a name of a topic"),
        ("[kafka]\nstart = 'soon'", "kafka.start = 'soon': expected \"earliest\""),
        ("[kafka]\nstart = 2026-01-31T00:00:00", "expected a time with its zone"),
        ("[kafka]\nstart = 5", 'kafka.start = 5: expected "earliest"'),
        ("[kafka]\noptions = {'sasl.password' = 'hunter2', a = [1]}", "a: expected text, a number"),
        ("[kafka]\noptions = {a = [1]}", "a: expected text, a number, true or false"),
        (
            "[kafka.options]\n'enable.auto.commit' = true",
            "enable.auto.commit is no option, remove it: the archive reads on from where its",
        ),
        ("[kafka.options]\n'group.id' = ''", "it has a setting of its own: kafka.group_id"),
        ("[streamout.options]\n'bootstrap.servers' = 'a:1'", ": streamout.bootstrap_servers"),
        ("[kafka]\nsasl_username = 'me'", "sasl_username needs sasl_password or"),
        (
            "[packets]\nregistry_options = {url = 'http://a:hunter2@host'}",
            "the address belongs into registry_url",
        ),
        (
            "[packets]\nregistry_url = 'http://a:hunter2@host'",
            "name and password belong into registry_username",
        ),
        (
            "[archive]\nuri = 'ftp://bucket/x'",
            "ftp:// is not supported: an archive lies in a folder",
        ),
        ("[archive]\nuri = 'file://folder'", "expected three slashes"),
        ("[ray]\naddress = 'http://127.0.0.1:8265'", 'expected "auto", "local" or host:port'),
        ("[simulator]\npace = 'fast'", 'expected "max", "realtime"'),
        ("[simulator]\nschema_bump = 'soon'", "expected a number of alerts, or a time"),
        ("[simulator]\nschema_bump = '2026-01-31'", "expected a number of alerts, or a time"),
        ("[simulator]\nsurvey = 'gaia'", "simulator.survey = 'gaia'"),
        ("[simulator]\npoison = 2", "simulator.poison = 2"),
        ("[spark]\nexecutor_memory = 'much'", "spark.executor_memory = 'much'"),
        ("[spark]\nexecutor_memory = '1024'", "expected a number with its unit, such as 900m"),
        ("[spark]\nexecutor_memory = '400MB'", "'400MB': expected 450m or more: Spark refuses"),
        ("[ui]\nrefresh_s = inf", "ui.refresh_s = inf: expected a finite number"),
        ("[spark]\nexecutor_cpus = inf", "spark.executor_cpus = inf: expected a finite number"),
        ("[ui]\nrefresh_s = 1e10", "expected at most 1,000,000,000 seconds"),
        ('[archive]\nuri = "a\\u0000b"', "expected a text without a null character"),
        ("kafka = 3", "kafka = 3: expected a valid dictionary"),
        ("[ui]\nport = ", "Invalid value"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, toml: str, told: str) -> None:
    path = write(tmp_path, toml)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert told in message
    assert "hunter2" not in message


def test_the_place_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[ui]\nport = 5001\n")
    assert refused(path, {"FINKRAY__UI__PORT": "x"}).startswith("environment: ui.port = 'x'")
    with pytest.raises(SettingsError, match=r"command: ui\.port"):
        load(path, {}, {"ui": {"port": "x"}})
    assert "cannot be read: No such file" in refused(tmp_path / "none.toml")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, "[ui]\nport = 'x'\n[ingest]\nactors = 0\n")
    assert len(refused(path).splitlines()) == 2


def test_batches_must_fit_into_the_share_of_an_actor() -> None:
    told = refused(None, {"FINKRAY__INGEST__HELD_BYTES": "32 MiB", "FINKRAY__INGEST__ACTORS": "2"})
    assert told.startswith("settings: ingest.claim_bytes = 33554432 does not fit")


def test_sizes_and_times() -> None:
    settings = load(
        None,
        {
            "FINKRAY__INGEST__HELD_BYTES": "64 MiB",
            "FINKRAY__KAFKA__START": "2026-01-31T02:00+02:00",
        },
    )
    assert settings.ingest.held_bytes == 64 * 1024 * 1024
    assert settings.kafka.start == datetime(2026, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("topics", "topic", "wanted"),
    [
        ("^ztf_\\d{8}_programid1$", "ztf_20260131_programid1", True),
        ("^ztf_\\d{8}_programid1$", "ztf_20260131_programid1_old", False),
        ("^ztf_", "ztf_20260131_programid1_old", True),
        ("ztf_20260131", "ztf_20260131", True),
        ("ztf.20260131", "ztf_20260131", False),
        ("ztf", "ztf_20260131", False),
        ("^.*", "ztf_20260131", True),
        ("^.*", "__consumer_offsets", False),
        ("^__", "__transaction_state", False),
        ("__consumer_offsets", "__consumer_offsets", True),
        ("^_", "_mine", True),
    ],
)
def test_topics_by_name_or_pattern(topics: str, topic: str, *, wanted: bool) -> None:
    assert load(None, {"FINKRAY__KAFKA__TOPICS": topics}).kafka.wants(topic) is wanted


def test_options_of_the_storage_are_refused_by_a_folder() -> None:
    with pytest.raises(
        SettingsError, match=r"archive\.options = {region}: a folder takes no options"
    ):
        load(None, {}, {"archive": {"options": {"region": "north"}}})


class TestSecrets:
    TOML = """
        [kafka]
        sasl_username = "me"
        sasl_password = "hunter2"
        [kafka.options]
        "ssl.key.password" = "hunter2"
        "ssl.key.pem" = "hunter2"
        "sasl.oauthbearer.client.secret" = "hunter2"
        "sasl.mechanism" = "PLAIN"
        "socket.keepalive.enable" = true
        [spark.conf]
        "spark.hadoop.fs.s3a.secret.key" = "hunter2"
        """

    def test_never_shown(self, tmp_path: Path) -> None:
        settings = load(write(tmp_path, self.TOML), {})
        shown = f"{settings} {settings!r} {settings.model_dump()} {settings.model_dump_json()}"
        assert "hunter2" not in shown

    def test_clear_for_the_client_alone(self, tmp_path: Path) -> None:
        config = load(write(tmp_path, self.TOML), {}).kafka.client_config()
        assert config["sasl.password"] == "hunter2"
        assert config["ssl.key.password"] == "hunter2"
        assert config["security.protocol"] == "SASL_SSL"
        assert config["sasl.mechanism"] == "PLAIN"
        assert config["socket.keepalive.enable"] is True

    def test_not_in_errors(self, tmp_path: Path) -> None:
        both = self.TOML.replace("sasl_username", "sasl_password_file = 'f'\n        sasl_username")
        assert "hunter2" not in refused(write(tmp_path, both))
        wrong = write(tmp_path, '[kafka]\nsasl_password = ["hunter2"]')
        assert refused(wrong).endswith("kafka.sasl_password = (not shown): expected a valid string")

    def test_survive_the_way_to_the_service(self, tmp_path: Path) -> None:
        settings = load(write(tmp_path, self.TOML), {"FINKRAY__KAFKA__START": "2026-01-31T00Z"})
        path = tmp_path / "settings.json"
        path.write_text(settings.to_json_with_secrets())
        # What a command decided is not decided anew where the service runs.
        assert load(path, {"FINKRAY__UI__PORT": "1"}) == settings

    def test_from_a_file(self, tmp_path: Path) -> None:
        secret = tmp_path / "password"
        secret.write_text("hunter2\n")
        env = {
            "FINKRAY__KAFKA__SASL_USERNAME": "me",
            "FINKRAY__KAFKA__SASL_PASSWORD_FILE": str(secret),
        }
        kafka = load(None, env).kafka
        assert kafka.client_config()["sasl.password"] == "hunter2"
        secret.write_bytes(b"\xef\xbb\xbfhunter2\r\n")  # as editors of Windows write it
        assert kafka.client_config()["sasl.password"] == "hunter2"
        secret.write_bytes(b"\xff")
        with pytest.raises(SettingsError, match="no text"):
            kafka.client_config()
        secret.write_text("\n")
        with pytest.raises(SettingsError, match="is empty"):
            kafka.client_config()
        secret.unlink()
        with pytest.raises(SettingsError, match="cannot be read"):
            kafka.client_config()


# A table of its own for each service.


def test_each_service_has_a_table_of_its_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
[services]
nice = 3

[services.bright]
limit = 18.5
since = 2026-11-24T01:00:00Z
bands = ["g", "r"]

[services.bright.hub]
api_token = "hush"
""",
    )
    env = {"FINKRAY__SERVICES__FAINT": '{"limit": 20, "token": "hush-2"}'}
    settings = load(path, env)
    assert settings.services.nice == 3
    tables = settings.services.own_tables()
    assert tables["bright"] == {
        "limit": 18.5,
        "since": "2026-11-24T01:00:00+00:00",
        "bands": ["g", "r"],
        "hub": {"api_token": "hush"},
    }
    assert tables["faint"] == {"limit": 20, "token": "hush-2"}
    assert "hush" not in f"{settings} {settings!r} {settings.model_dump_json()}"
    private = tmp_path / "private.json"
    private.write_text(settings.to_json_with_secrets())
    assert load(private, {}) == settings
    assert load(private, {}).services.own_tables() == tables


def test_a_setting_of_services_that_is_not_known_is_still_named(tmp_path: Path) -> None:
    path = write(tmp_path, "[services]\nmin_actor = 3\n")
    assert refused(path) == (
        f"{path}: services.min_actor is not known; did you mean services.min_actors?"
    )
    assert "services.nices is not known" in refused(None, {"FINKRAY__SERVICES__NICES": "3"})


def test_a_file_that_an_editor_of_windows_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "finkray.toml"
    path.write_bytes(b"\xef\xbb\xbf[ui]\r\nport = 5001\r\n")
    assert load(path, {}).ui.port == 5001
