"""The helpers of these tests are modules beside them: `cases` and `stand_in`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
