"""Plants a bug into `gamekit serve`, whoever starts it: Python imports this before anything else.

For the demo, whose servers are no forks of the launcher. `CAMPAIGN_PLANT` names the bug.
"""

import os
import sys

if "serve" in sys.orig_argv and "CAMPAIGN_PLANT" in os.environ:
    from tests.campaigns.plants import PLANTS

    PLANTS[os.environ["CAMPAIGN_PLANT"]].apply()
