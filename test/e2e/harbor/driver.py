"""Calls Harbor's Python client, and says on its standard output, as JSON, what was asked and answered.

Run as `driver.py FILE...`; a file of this folder has `async def run(registries)`, and asserts what the client made of
each answer. VARVE_URL, VARVE_NAME and VARVE_SECRET say where the registry is and who asks; what else a file needs is
in variables of its own.
"""

import asyncio
import importlib
import json
import os
import sys

from harborapi import HarborAsyncClient


class Registry:
    """The client, as one user or robot has it."""

    def __init__(self, registries, name, secret):
        self.registries = registries
        self.client = HarborAsyncClient(url=registries.url + "/api/v2.0", username=name, secret=secret, validate=True, retry=None)
        self.client.client.event_hooks = {"response": [self.record]}
        self.function = None

    async def call(self, function, *arguments, **named):
        """What a function of the client makes of the registry's answer: its models must parse that."""
        self.function = function
        return await getattr(self.client, function)(*arguments, **named)

    async def record(self, response):
        await response.aread()
        request = response.request
        self.registries.calls.append(
            {
                "function": self.function,
                "method": request.method,
                "path": request.url.raw_path.decode(),
                "status": response.status_code,
                "answer": response.text,
            }
        )


class Registries:
    """The registry under test, as each of those who ask has it."""

    def __init__(self, url, name, secret):
        self.url = url
        self.calls = []
        self.administrator = Registry(self, name, secret)

    def asked_by(self, name, secret):
        return Registry(self, name, secret)


async def main():
    registries = Registries(os.environ["VARVE_URL"], os.environ["VARVE_NAME"], os.environ["VARVE_SECRET"])
    for name in sys.argv[1:]:
        await importlib.import_module(name).run(registries)
    json.dump(registries.calls, sys.stdout)


asyncio.run(main())
