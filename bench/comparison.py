"""Measure the chains in turn on one Kafka."""

import argparse
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from bench.chains.chain_run import ChainRun
from bench.figures import Figures
from bench.run import CHAINS, Chain, measure
from bench.topics import Feed, fill, send
from bench.visit import measure_visit
from sim.broker.kafka import Kafka

BEFORE, LSST_BEFORE = 2000, 200
"""Alerts that a chain has archived before a visit comes: by then it is warm, more or less."""

_LOG = logging.getLogger("bench")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Found:
    """The figures of the chains that read a feed, by their names."""

    rounds: dict[str, list[Figures]]
    visits_s: dict[str, float]


class Comparison:
    """The chains on one Kafka, chosen by the options.

    Parameters
    ----------
    options
        of the command line
    kafka
        which is up
    folder
        where the chains write, and where the schemas are put
    """

    def __init__(self, options: argparse.Namespace, kafka: Kafka, folder: Path) -> None:
        self._options = options
        self._kafka = kafka
        self._folder = folder
        self.failed = False

    def measure(self, feed: Feed) -> Found:
        """Measure all chains in each round, so that a slow hour of the machine meets all of them.

        A chain that fails is left out; the others go on.
        """
        chains = chains_of(self._options, feed.name)
        found = Found({chain.name: [] for chain in chains}, {})
        schema = feed.write_schema(self._folder)
        sizes: dict[str, float] = {}
        for number in range(self._options.rounds):
            for chain in chains:
                arguments = (feed.name, number + 1, self._options.rounds, chain.name)
                _LOG.info("%s, round %d of %d: %s", *arguments)
                figures = self._try(self._round, chain, feed, schema, number, sizes)
                if figures is not None:
                    found.rounds[chain.name].append(figures)
                    _LOG.info("%s: %.0f alerts/s once warm", chain.name, figures.warm_per_s or 0)
        for topic in sizes:
            self._kafka.delete_topic(topic)
        is_lsst = feed.wire == "frame"
        visit = self._options.lsst_visit if is_lsst else self._options.visit
        for chain in chains if visit else ():
            if is_lsst and chain.share < 1:
                continue  # it would take minutes
            _LOG.info("%s, a visit of %d: %s", feed.name, visit, chain.name)
            visit_s = self._try(self._visit, chain, feed, schema, visit)
            if visit_s is not None:
                found.visits_s[chain.name] = visit_s
                _LOG.info("%s: %.1f s after the last acknowledgement", chain.name, visit_s)
        return found

    def _try(self, work: Callable[..., _T], *arguments: Any) -> _T | None:
        try:
            return work(*arguments)
        except RuntimeError as error:
            _LOG.error("%s", error)
            self.failed = True
            return None

    def _round(
        self, chain: Chain, feed: Feed, schema: Path, number: int, sizes: dict[str, float]
    ) -> Figures:
        options = self._options
        count = int(_alerts(options, feed) * chain.share)
        topic = f"bench_{feed.name}_{count}"
        if topic not in sizes:
            _LOG.info("Filling %s with %d alerts", topic, count)
            sizes[topic] = fill(self._kafka, topic, feed, count, options.partitions)
        chain_run = self._chain_run(
            feed, schema, topic, count, f"{feed.name}-{chain.name}-{number}"
        )
        figures = measure(
            chain,
            chain_run,
            warm_after=int(options.warm_after / options.alerts * count),
            message_bytes=sizes[topic],
            timeout_s=options.timeout,
        )
        self._clear(chain_run)
        return figures

    def _visit(self, chain: Chain, feed: Feed, schema: Path, alerts: int) -> float:
        name = f"visit_{feed.name}_{chain.name}"
        partitions = self._options.partitions
        before = _for_each(partitions, LSST_BEFORE if feed.wire == "frame" else BEFORE)
        visit = _for_each(partitions, alerts)
        fill(self._kafka, name, feed, before, partitions)
        chain_run = self._chain_run(feed, schema, name, before + visit, name.replace("_", "-"))

        def send_all() -> None:
            send(self._kafka, name, feed, visit, partitions)

        visit_s = measure_visit(
            chain,
            replace(chain_run, keeps_reading=True),
            before,
            send_all,
            timeout_s=self._options.timeout,
        )
        self._kafka.delete_topic(name)
        self._clear(chain_run)
        return visit_s

    def _chain_run(
        self, feed: Feed, schema: Path, topic: str, alerts: int, folder: str
    ) -> ChainRun:
        options = self._options
        return ChainRun(
            bootstrap_servers=self._kafka.bootstrap_servers,
            topic=topic,
            wire=feed.wire,
            partitions=options.partitions,
            alerts=alerts,
            folder=str(self._folder / folder),
            schema_file=str(schema),
            cores=options.cores,
            per_trigger=min(options.per_trigger, max(1, _alerts(options, feed) // 5)),
        )

    def _clear(self, chain_run: ChainRun) -> None:
        if not self._options.keep:
            shutil.rmtree(chain_run.folder)


def chains_of(options: argparse.Namespace, feed: str) -> list[Chain]:
    """Return the chosen chains that can read this feed."""
    return [chain for chain in CHAINS if chain.name in options.chains and feed in chain.feeds]


def _alerts(options: argparse.Namespace, feed: Feed) -> int:
    alerts: int = options.lsst_alerts if feed.name == "lsst" else options.alerts
    return alerts


def _for_each(partitions: int, alerts: int) -> int:
    """Round the number of alerts up, so that each partition gets as many."""
    return -(-alerts // partitions) * partitions
