"""Attacks on the app and the commands, and faults around them: each is refused in one sentence, or harmless.

``python -m bench.abuse`` runs them and writes the table of docs/security.md.
"""

# ruff: noqa: E402, F401, F403
import pytest

pytest.register_assert_rewrite("tests.abuse")

from tests.abuse.conversions import *
from tests.abuse.files import *
from tests.abuse.markup import *
from tests.abuse.measure import row
from tests.abuse.names import *
from tests.abuse.page import *
from tests.abuse.pictures import *
from tests.abuse.places import *
from tests.abuse.server import public_server, visitor
from tests.abuse.trainings import *
from tests.abuse.visits import *
