"""Helpers of the tests. A helper that two test modules need lies here, and only here.

Fixtures are in conftest.py files: `tests/` (for all), `tests/integration/` (a Ray, an archive),
`tests/unit/finkray/` and its `ledger/`.

Processes of ours
    archiving            an archive as a process, `wait_until`
    commands, workspace  the `finkray` command line; a folder and environment to run it in
    docs_pages           the files and commands of a page of docs/
    killing, soaking     what a chaos test and a long run need
    competing_archive, competitors    processes that compete for one archive
    watcher              a reader that lists and follows an archive all the while

Servers
    site_kafka           a Kafka with TLS, logins and access rules
    registry             a schema registry
    sky_server           a CDS cross-match
    web                  the page's server on loopback
    lane_reading         a lane reader on the Kafka of the session

Archives and their parts
    ledgers              claims without real files, for the ledger and the commit
    claim_outcomes       a coordinator, with ready claims and outcomes for it
    small_archives       made-up alerts in real Parquet files, claim by claim
    dead_letters         archives with dead letters
    rebuilding           a ledger that is damaged, and rebuilt
    real_archives        real alerts of both surveys
    odd_archives         alerts that readers find hard
    packets, simulated   real packets, simulated packets; sending them to Kafka
    avro_cases           Avro schemas, values, and an encoder independent of ours

Services and catalogues
    services, bulkheads  services that behave and misbehave
    serving              run a service in this process; read its results
    remembering_sink     a sink that keeps results in memory
    limits               the limits of a service's process
    parity               a service that classifies alerts, and its results
    made_catalogs        small catalogues
    filters              filters of a few lines of Python

Storages
    storage_contract     the tests that every storage must pass, with those of
    publishing_contract  staged and published files, on
    two_storages         two storages of one empty location
    torn_storage         a storage that fails or dies at its n-th call
    small_disk           a file system that becomes full or read-only
    full_disk            a folder that takes no more files
    hung_folder          a folder that never answers

Typed data for pages, tables and alarms
    snapshots, classified, alarm_facts
"""
